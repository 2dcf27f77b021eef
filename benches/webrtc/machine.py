"""What the measurement runs on."""

from __future__ import annotations

from typing import Any

from benches.load import machine

PACKAGES = ("aiortc", "av")


def describe() -> dict[str, Any]:
    """The machine and the versions of all that is measured."""
    found = machine.describe()
    ours = {name: version for name in PACKAGES if (version := machine.version_of(name))}
    packages = {"stapes": found["packages"]["stapes"], **ours}
    kept = ("processor", "cores", "memory_gb", "system", "python", "rust", "revision")
    return {key: found[key] for key in kept} | {"packages": packages}
