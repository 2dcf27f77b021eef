"""The measurement of an audio delta's way goes that way."""

import os
import subprocess
import sys

import pytest
from benches.load.processes import ROOT


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="for Linux")
def test_a_frame_is_measured_to_the_callback_that_gets_its_bytes():
    measuring = "import frame; print(frame.measure())"
    command = [sys.executable, "-c", measuring]
    done = subprocess.run(command, cwd=ROOT / "benches" / "audio", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0
