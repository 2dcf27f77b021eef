"""Makes, of the source distribution, one with all crates in it: it is built without a network.

    python scripts/wheels/vendored.py dist/stapes-1.0.0.tar.gz

What builds it needs a Rust toolchain, a C compiler, and `maturin` and `cmake` from pip.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path


def vendor(sdist: Path) -> Path:
    """Writes the archive beside the source distribution."""
    name = sdist.name.removesuffix(".tar.gz")
    made = sdist.with_name(f"{name}-vendored.tar.xz")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        inside = Path(folder) / name
        # Members of the workspace that are not published are not in it, but in its lock file: cargo
        # takes them out of that here, so that whoever builds it may say `--locked`.
        command = ["cargo", "vendor", "--versioned-dirs", "vendor"]
        ran = subprocess.run(command, cwd=inside, capture_output=True, text=True)
        if ran.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{ran.stderr}")
        (inside / ".cargo").mkdir()
        (inside / ".cargo" / "config.toml").write_text(ran.stdout)
        with tarfile.open(made, "w:xz", preset=6) as archive:
            archive.add(inside, arcname=name)
    return made


if __name__ == "__main__":
    written = vendor(Path(sys.argv[1]))
    print(f"{written.name}: {written.stat().st_size / 1e6:.1f} MB")
