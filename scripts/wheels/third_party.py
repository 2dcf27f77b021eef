"""Writes the licences of all that is compiled into the extension module beside the package.

    python scripts/wheels/third_party.py [TARGET]

Crates are those that cargo resolves for that kind of machine (Linux on x86-64), without what only
builds or tests. The texts are the crates' own; one that brings none is named with the licence that
it states.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
TARGET = ROOT / "python" / "stapes" / "THIRD_PARTY_LICENSES.txt"
NAMES = ("LICENSE*", "LICENCE*", "COPYING*", "NOTICE*", "UNLICENSE*", "license*")
OPUS = "opus/COPYING"


def metadata(target: str) -> dict[str, Any]:
    """What cargo knows of the workspace, where it is built for that kind of machine."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    command += ["--filter-platform", target]
    made: dict[str, Any] = json.loads(subprocess.check_output(command, cwd=ROOT))
    return made


def compiled_in(known: dict[str, Any]) -> list[str]:
    """The packages that the extension module is made of, its own left out."""
    nodes = {node["id"]: node for node in known["resolve"]["nodes"]}
    own = set(known["workspace_members"])
    waiting = [package["id"] for package in known["packages"] if package["name"] == "stapes-py"]
    found: set[str] = set()
    while waiting:
        for dependency in nodes[waiting.pop()]["deps"]:
            kinds = {kind["kind"] for kind in dependency["dep_kinds"]}
            if None in kinds and dependency["pkg"] not in found:
                found.add(dependency["pkg"])
                waiting.append(dependency["pkg"])
    return sorted(found - own)


def texts(folder: Path) -> list[str]:
    """The texts of licences in a crate's folder."""
    paths = {path for name in NAMES for path in folder.glob(name) if path.is_file()}
    return [path.read_text(errors="replace").strip() for path in sorted(paths)]


def main() -> None:
    """Writes the file."""
    known = metadata(*sys.argv[1:2] or ["x86_64-unknown-linux-gnu"])
    packages = {package["id"]: package for package in known["packages"]}
    users: dict[str, list[str]] = {}
    for package in (packages[name] for name in compiled_in(known)):
        folder = Path(package["manifest_path"]).parent
        title = f"{package['name']} {package['version']} ({package['license'] or 'see its text'})"
        for text in texts(folder) or [f"{title} brings no text of its licence."]:
            users.setdefault(text, []).append(title)
        for copying in folder.glob(f"**/{OPUS}"):
            users.setdefault(copying.read_text(errors="replace").strip(), []).append("libopus")
    if not any("libopus" in titles for titles in users.values()):
        raise SystemExit("the licence of libopus was not found: see where its crate keeps it")
    sections = ("\n".join([*titles, "", text]) for text, titles in users.items())
    line = "\n\n" + 80 * "=" + "\n\n"
    TARGET.write_text(
        "What is compiled into stapes, and under which licences.\n" + line + line.join(sections)
    )
    print(f"{TARGET.relative_to(ROOT)}: {sum(map(len, users.values()))} entries")


if __name__ == "__main__":
    main()
