"""The SDK's own tests of its model, with ours, of the newest version and of the oldest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

pytestmark = pytest.mark.far

ROOT = Path(__file__).parents[2]
OLDEST = "0.22.0"


def _fetched(cache: Path, wanted: str) -> Path:
    """The source distribution of that version, unpacked, with the version installed beside it."""
    folder = cache / "openai-agents"
    source = folder / f"openai_agents-{wanted}"
    installed = folder / f"installed-{wanted}"
    pip = [sys.executable, "-m", "pip"]
    try:
        if not source.is_dir():
            download = [*pip, "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
            fetch = [*download, "--dest", str(folder), f"openai-agents=={wanted}"]
            subprocess.run(fetch, check=True, timeout=300, capture_output=True)
            with tarfile.open(folder / f"openai_agents-{wanted}.tar.gz") as archive:
                archive.extractall(folder, filter="data")
        if not installed.is_dir():
            install = [*pip, "install", "--quiet", "--no-deps", "--target", str(installed)]
            subprocess.run([*install, f"openai-agents=={wanted}"], check=True, timeout=300)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"the tests of openai-agents {wanted} cannot be fetched: {error}")
    return source


@pytest.mark.parametrize("wanted", [OLDEST, version("openai-agents")])
def test_the_sdks_own_tests_hold_with_our_model(cache, wanted):
    source = _fetched(cache, wanted)
    environment = {
        **os.environ,
        "STAPES_AGENTS_SDK_TESTS": str(source),
        "PYTHONPATH": str(source.parent / f"installed-{wanted}"),
    }
    script = [sys.executable, str(ROOT / "scripts" / "run_sdk_tests.py")]
    run = subprocess.run(
        script, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stdout[-8_000:] + run.stderr
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None, run.stdout
    assert int(passed[1]) >= 40
