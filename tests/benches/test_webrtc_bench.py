"""The measurement of WebRTC calls works: its far side, its clients, and what the page says."""

from __future__ import annotations

import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benches.load.processes import ROOT
from benches.webrtc.processes import against_reflector
from benches.webrtc.section import Calls, bars, growth_kb, section

BINARIES = ROOT / "target" / "debug"
CALLS, SECONDS = 2, 3
PACKETS = CALLS * SECONDS * 50

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="for Linux"),
    pytest.mark.real_time,
]


@pytest.fixture(scope="module")
def binaries() -> Path:
    """The programs, built unless `cargo test` has done so."""
    programs = [BINARIES / f"stapes-{name}" for name in ("reflector", "caller")]
    sources = (ROOT / "benches" / "webrtc" / "rust").rglob("*.rs")
    changed = max(source.stat().st_mtime for source in sources)
    if not all(program.exists() and program.stat().st_mtime >= changed for program in programs):
        if shutil.which("cargo") is None:
            pytest.skip("the reflector is built with cargo")
        command = ["cargo", "build", "--quiet", "-p", "stapes-webrtc-bench"]
        subprocess.run(command, cwd=ROOT, check=True)
    return BINARIES


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sound") / "tone.wav"
    tone = 8_000 * np.sin(np.arange(24_000) * 2 * np.pi * 440 / 24_000)
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(24_000)
        out.writeframes(tone.astype("<i2").tobytes())
    return file


def client(module: str, binaries: Path, **options: Any) -> dict[str, Any]:
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", f"benches.webrtc.clients.{module}", *words]
    return against_reflector(command, binaries, timeout=60)


def test_our_client_counts_packets_and_tells_delays(binaries, wav):
    row = client("ours", binaries, wav=wav, calls=CALLS, seconds=SECONDS)
    assert row["packets"] == PACKETS, row
    assert (row["packets_lost"], row["frames_unheard"]) == (0, 0)
    assert row["cpu_ms_per_call_s"] > 0
    # A frame takes 20 ms to be spoken.
    assert 20 <= row["up_ms"]["p50"] <= row["up_ms"]["p99"] <= row["up_ms"]["max"]
    assert row["down_ms"]["p50"] > 0
    assert row["reflector_busiest_share"] > 0


def test_our_client_sends_as_much_where_the_microphones_are_fed_in_rust(binaries, wav):
    row = client("ours", binaries, wav=wav, calls=CALLS, seconds=SECONDS, streams=1)
    assert (row["packets"], row["packets_lost"], row["frames_unheard"]) == (PACKETS, 0, 0), row
    assert "p99" not in row["up_ms"]
    assert row["down_ms"]["p50"] > 0


def test_the_client_of_aiortc_hears_all_that_it_says(binaries, wav):
    pytest.importorskip("aiortc")
    row = client("with_aiortc", binaries, wav=wav, calls=CALLS, seconds=SECONDS)
    assert row["heard_s_per_s"] == pytest.approx(1.0, abs=0.1), row


def test_the_caller_without_python_counts_packets(binaries):
    command = [str(binaries / "stapes-caller"), f"--calls={CALLS}", f"--seconds={SECONDS}"]
    row = against_reflector(command, binaries, timeout=60)
    assert (row["packets"], row["packets_lost"]) == (PACKETS, 0), row


@pytest.mark.parametrize("caller", ["python", "rust"])
def test_calls_that_come_and_go_are_counted(binaries, caller):
    if caller == "python":
        row = client("opens", binaries, calls=20, at_once=4)
    else:
        command = [str(binaries / "stapes-caller"), "--opens=20", "--at-once=4"]
        row = against_reflector(command, binaries, timeout=60)
    assert row["opened"] == 20, row
    assert row["after"] == row["before"]
    assert [one["after"] for one in row["samples"]] == list(range(21))


def test_the_growth_of_memory_is_that_of_the_second_half():
    samples = [
        {"after": n, "rss_kb": 1_000 if n < 50 else 1_000 + 3 * (n - 50)} for n in range(101)
    ]
    assert growth_kb({"opened": 100, "samples": samples}) == pytest.approx(3.0)


def test_the_page_says_what_was_measured():
    costs = {"null": 2.0, "stapes": 12.0, "aiortc": 52.0}
    old = {"run": 1, "measurement": "ten", "rep": 0, "client": "stapes", "cpu_ms_per_call_s": 99.0}
    ten = [
        {"run": 2, "measurement": "ten", "rep": 0, "client": name, "cpu_ms_per_call_s": cost}
        for name, cost in costs.items()
    ]
    lossy = {"run": 2, "measurement": "encoded", "cores": 0.5, "packets": 100, "packets_lost": 3}
    calls = Calls([old, *ten, lossy])
    assert calls.ratios("stapes", "aiortc") == [12 / 52]
    assert calls.ratios("stapes", "aiortc", net=True) == [10 / 50]
    said = {bar.what: (bar.measured, bar.is_met) for bar in bars(calls)}
    assert said["CPU of a call, ten calls: aiortc / stapes"] == ("4.33 times", True)
    what = "200 calls on one core, Opus ready-made, without Python"
    assert said[what] == ("3 of 100 packets lost, 50% of the core", False)
    assert said["50 calls on one core"] == ("-", None)


def test_what_crashed_is_told_and_nothing_is_said_where_nothing_was_measured():
    assert section(Calls([])) == ""
    machine = {"run": 1, "measurement": "machine", "packages": {}}
    machine |= dict.fromkeys(("processor", "cores", "system", "python", "rust", "revision"), "x")
    crash = {"run": 1, "measurement": "fifty", "crashed": "status 1", "stderr": "no room"}
    assert "- fifty: status 1: no room" in section(Calls([machine, crash]))
