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
from benches.webrtc import page_section
from benches.webrtc.page_calls import PLAN, measure_pages
from benches.webrtc.processes import against_reflector
from benches.webrtc.section import Calls, bars, growth_kb, section

BINARIES = ROOT / "target" / "debug"
# As `make test-rust` has it, so that no crate is compiled with other features.
BUILD = ("cargo", "build", "--quiet", "--workspace", "--bins", "--features", "stapes-py/workspace")
CALLS, SECONDS = 2, 3
PACKETS = CALLS * SECONDS * 50

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="for Linux"),
    pytest.mark.real_time,
]


@pytest.fixture(scope="module")
def binaries() -> Path:
    """The programs, built unless `cargo test` has done so."""
    programs = [BINARIES / f"stapes-{name}" for name in ("reflector", "caller", "pages")]
    folders = [ROOT / "benches" / "webrtc" / "rust", ROOT / "benches" / "phone" / "load" / "src"]
    sources = [source for folder in folders for source in folder.rglob("*.rs")]
    changed = max(source.stat().st_mtime for source in sources)
    if not all(program.exists() and program.stat().st_mtime >= changed for program in programs):
        if shutil.which("cargo") is None:
            pytest.skip("the reflector is built with cargo")
        subprocess.run(BUILD, cwd=ROOT, check=True)
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


@pytest.mark.parametrize("plan", PLAN[:2], ids=["stapes", "aiortc"])
def test_pages_hear_answers_and_the_model_hears_pages(binaries, wav, plan):
    server, _, program, more = plan
    row = measure_pages(binaries, wav, server, 2, program, more, cycles=1)
    assert row["answers"] > 0, row
    assert (row["setup_failed"], row["pages_lost"], row["models_lost"]) == (0, 0, 0)
    assert (row["answers_unheard"], row["packets_lost"]) == (0, 0)
    assert row["packets_per_s"] == pytest.approx(50, abs=2)
    assert row["in_bursts"] >= 10
    # A burst waits for its batch, one packet at least once in a while.
    assert row["in_ms"]["max"] > 20
    assert row["out_ms"]["p50"] > 0
    assert row["cpu_ms_per_call_s"] > 0
    assert (row["target_ms"] is not None) == (server == "stapes")


def test_the_page_says_what_became_of_calls_with_both_ends():
    spread = {"p50": 50.0, "p99": 104.0, "max": 110.0}
    well = {"server": "stapes", "calls": 80, "cpu_ms_per_call_s": 5.0, "kb_per_call": 200}
    well |= {"server_core": 0.4, "load_core": 0.3, "packets_per_s": 50.0, "longest_gap_ms": 25}
    well |= {"foreign": 0.05}
    well |= {"in_ms": spread, "out_ms": spread, "target_ms": {"max": 20.0}}
    counts = ("packets_lost", "packets_short", "answers_unheard", "gaps", "in_gaps", "pages_lost")
    well |= dict.fromkeys([*counts, "models_lost", "setup_failed"], 0)
    blocked = well | {"server": "stapes, blocked loop", "gaps": 2, "load_core": 0.8}
    ten = [
        well | {"calls": 10},
        well | {"calls": 10, "server": "aiortc, openai-agents", "cpu_ms_per_call_s": 30.0},
    ]
    rows = [well, blocked, *ten]
    said = {bar.what: (bar.measured, bar.is_met) for bar in page_section.bars(rows)}
    assert said["80 pages' calls on one core"] == (
        "nothing; 40% of the core, the load 30% of its own",
        True,
    )
    assert said["150 pages' calls on one core"] == ("-", None)
    what = "CPU of a page's call, ten calls: aiortc with openai-agents / stapes"
    assert said[what] == ("6.00 times", True)
    beyond = next(met for what, met in said.items() if what.startswith("RTP of a page"))
    assert beyond == ("4.0 ms", True)
    blocked_80 = "80 pages' calls while the event loop is blocked"
    held = next(met for what, met in said.items() if what.startswith(blocked_80))
    assert held == ("2 gaps; 40% of the core, the load 80% of its own", False)
    assert "| 80% * |" in page_section.costs(rows)
    assert page_section.costs([]) == ""
