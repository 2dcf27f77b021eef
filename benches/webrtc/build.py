"""How long a build of everything takes that begins with nothing."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benches.load.processes import ROOT


def build_cold() -> dict[str, Any]:
    """Builds the workspace as it is released, into a folder of its own that is removed again.

    The sources of the crates must have been fetched.
    """
    # Where pip puts cmake.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="stapes-build-") as folder:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(
            ["cargo", "build", "--release", "--workspace", "--quiet"],
            cwd=ROOT,
            env={**os.environ, "PATH": path, "CARGO_TARGET_DIR": folder},
            capture_output=True,
            text=True,
        )
        took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        return {"crashed": f"status {done.returncode}", "stderr": done.stderr[-600:]}
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": took, "cpu_s": cpu_s, "cores": os.cpu_count()}
