"""What the measurement runs on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benches.load.peers import JAVASCRIPT
from stapes import _core

PACKAGES = ("openai-agents", "picows", "uvloop", "orjson", "websockets")


def describe() -> dict[str, Any]:
    """The machine and the versions of all that is measured."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "rust": _said("rustc", "--version").removeprefix("rustc ").split(" (")[0],
        "node": _said("node", "--version"),
        "packages": {
            "stapes": _core.__version__,
            **{name: found for name in PACKAGES if (found := version_of(name))},
        },
        "javascript": _javascript(),
        "revision": _said("git", "rev-parse", "--short", "HEAD"),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _javascript() -> dict[str, str]:
    import json

    found = {}
    for package in ("@openai/agents-realtime", "ws"):
        file = JAVASCRIPT / "node_modules" / package / "package.json"
        if file.exists():
            found[package] = str(json.loads(file.read_text())["version"])
    return found


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
