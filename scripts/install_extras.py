"""Installs what an extra of the project needs, without building the project itself.

    python scripts/install_extras.py EXTRA ...
    python scripts/install_extras.py WHEEL

The second form puts a wheel of the project beside what it needs, in the place of an older one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent


def requirements(extra: str) -> list[str]:
    """The project's own requirements and those of the extra, others that it names included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    found: list[str] = list(project["dependencies"])
    waiting = [extra]
    while waiting:
        for requirement in extras[waiting.pop()]:
            if own := re.fullmatch(r"stapes\[([a-z,]+)\]", requirement):
                waiting += own[1].split(",")
            else:
                found.append(requirement)
    return found


def install(wanted: list[str], *, is_wheel: bool = False) -> int:
    """Installs into the interpreter that runs this, by uv: in a tenth of the time that pip takes.

    uv knows nothing of pip's configuration. Where it finds no way to a package, pip has one or
    says why.
    """
    if uv := shutil.which("uv"):
        options = ["--quiet", "--system-certs", "--python", sys.executable]
        options += ["--reinstall", "--no-deps"] if is_wheel else []
        done = subprocess.run([uv, "pip", "install", *options, *wanted])
        if done.returncode == 0:
            return 0
        print("uv could not install what is needed: pip tries", file=sys.stderr)
    # Python compiles what is imported. The packages have many times as many modules as that.
    options = ["--quiet", "--disable-pip-version-check", "--no-compile"]
    options += ["--force-reinstall", "--no-deps"] if is_wheel else []
    if find_spec("pip") is None:
        subprocess.run([sys.executable, "-m", "ensurepip"], check=True, stdout=subprocess.DEVNULL)
    return subprocess.run([sys.executable, "-m", "pip", "install", *options, *wanted]).returncode


def main() -> None:
    """Installs into the interpreter that runs this."""
    asked = sys.argv[1:]
    if asked[0].endswith(".whl"):
        raise SystemExit(install(asked, is_wheel=True))
    wanted = {name for extra in asked for name in requirements(extra)}
    raise SystemExit(install(sorted(wanted)))


if __name__ == "__main__":
    main()
