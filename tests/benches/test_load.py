"""The load measurement works: its server, its clients, and the page that is made of the results."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from benches.load.peers import PEERS, churn_command
from benches.load.processes import ROOT, Server, serving
from benches.load.results import audio_lost, microphone_lost, trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

BINARIES = ROOT / "target" / "debug"
# As `make test-rust` has it, so that no crate is compiled with other features.
BUILD = ("cargo", "build", "--quiet", "--workspace", "--bins", "--features", "stapes-py/workspace")
N, CHUNKS = 3, 4

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="for Linux")


def build() -> None:
    """Builds the programs, unless that has been done."""
    programs = [BINARIES / f"stapes-load-{name}" for name in ("server", "client", "core")]
    sources = (ROOT / "benches" / "load" / "rust").rglob("*.rs")
    changed = max(source.stat().st_mtime for source in sources)
    if all(program.exists() and program.stat().st_mtime >= changed for program in programs):
        return
    if shutil.which("cargo") is None:
        pytest.skip("the load server is built with cargo")
    subprocess.run(BUILD, cwd=ROOT, check=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    build()
    with serving(BINARIES) as server:
        yield server


def start(command: list[str], server: Server, **flags: Any) -> subprocess.Popen[str]:
    words = [word for key, value in flags.items() for word in (f"--{key}", str(value))]
    command = [*command, "--url", server.url, *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    row: dict[str, Any] = json.loads(out.splitlines()[-1])
    return row


def test_no_client_loses_anything(server: Server) -> None:
    alike = {
        "null+uvloop",
        "null-js",
        "core-quiet",
        "stapes-quiet",
        "stapes-quiet-mic",
        "stapes+uvloop",
    }
    found = {name for name, peer in PEERS.items() if peer.missing(BINARIES) is None}
    wanted = {
        "null",
        "null-rust",
        "bare",
        "core",
        "stapes",
        "stapes.run",
        "websockets",
        "agents-py",
        "agents-py-stapes",
    }
    assert wanted <= found
    names = sorted(found - alike)
    before = server.stats()
    running = {
        name: start(PEERS[name].command(BINARIES), server, n=N, chunks=CHUNKS) for name in names
    }
    rows = {name: result_of(process) for name, process in running.items()}
    after = server.stats()
    for name, row in rows.items():
        assert row.get("failed") in (None, []), name
        assert row.get("errors", 0) == 0, name
        assert row["cpu_s"] > 0, name
        if row.get("audio_bytes"):
            assert row["audio_bytes"] == N * CHUNKS * 4800, name
            assert row["lat_p50_us"] > 0, name
    sent = sum(row["mic_sent"] for name, row in rows.items() if not name.startswith("null"))
    assert after["mic_frames"] - before["mic_frames"] == sent
    assert after["mic_bad"] == after["unreadable"] == 0
    heard = sum(bool(row.get("audio_bytes")) for row in rows.values())
    assert heard == sum(not name.startswith("null") for name in names)


def test_a_history_is_received_and_goes_on(server: Server) -> None:
    command = PEERS["stapes"].command(BINARIES)
    running = [
        start(command, server, mode=mode, chunks=5, history=30)
        for mode in ("transcript", "items", "tools")
    ]
    for row in map(result_of, running):
        assert row["failed"] == []
        assert row["errors"] == 0


def test_sessions_that_come_and_go_leave_nothing(server: Server) -> None:
    row = result_of(start(churn_command("stapes"), server, n=4, seconds=1, shortest=1, longest=4))
    assert row["failures"] == 0, row["failed"]
    assert row["opened"] >= 4
    assert row["after"] == row["before"]


def test_an_item_is_retrieved_with_its_sound(server: Server) -> None:
    from websockets.sync.client import connect

    with connect(f"{server.url}/v1/realtime?mode=blast&chunks=2", max_size=None) as socket:
        socket.send('{"type":"response.create"}')
        while (event := json.loads(socket.recv(10)))["type"] != "response.done":
            pass
        item_id = event["response"]["output"][0]["id"]
        socket.send(json.dumps({"type": "conversation.item.retrieve", "item_id": item_id}))
        item = json.loads(socket.recv(10))["item"]
    assert len(item["content"][0]["audio"]) == 2 * 4800 // 3 * 4


def test_loss_is_seen() -> None:
    row = {
        "cpu_s": 1.0,
        "audio_bytes": 4800,
        "mic_sent": 3,
        "server": {"audio_bytes": 9600, "mic_frames": 1},
    }
    assert audio_lost(row) == 4800
    assert microphone_lost(row) == 2
    assert trouble(row) == "4800 bytes of audio lost, 2 chunks of the microphone lost"


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="the page has plots")
def test_the_page_is_made_of_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benches.load import page, plots
    from benches.load.results import Results

    assert sys.version_info >= (3, 11)
    monkeypatch.setattr(page, "PAGE", tmp_path)
    monkeypatch.setattr(plots, "IMAGES", tmp_path / "images")
    server = {"audio_bytes": 960_000, "mic_frames": 200, "audio_deltas": 200, "busiest_share": 0.1}
    common = {"run": 1, "rep": 0, "tls": False, "suite": "paced", "mode": "paced", "chunks": 100}
    common |= {"n": 200, "server": server, "foreign": 0.01, "connect_cpu_ms": 0.1}
    common |= {"rss_idle_kb": 0, "rss_end_kb": 8000, "audio_bytes": 960_000, "mic_sent": 200}
    common |= {"lat_p50_us": 100.0, "lat_p99_us": 900.0, "lat_max_us": 1000.0}
    costs = {"null": 1.0, "null-rust": 0.5, "bare": 1.5, "stapes": 2.5, "agents-py": 11.0}
    rows = [common | {"client": name, "cpu_s": cost} for name, cost in costs.items()]
    (tmp_path / "load.jsonl").write_text("\n".join(map(json.dumps, rows)))

    results = Results.read(tmp_path / "load.jsonl")
    assert results.ratios("paced", "stapes", "bare", results.net) == [1.5]
    page.write_page(tmp_path)
    text = (tmp_path / "benchmarks.md").read_text()
    assert (
        "| CPU, N=200, paced: stapes / bare Rust client | at most 1.7 times | 1.50 times |" in text
    )
    assert (
        "| CPU, N=200, paced: openai-agents-python / stapes | at least 5 times | 6.67 times |"
        in text
    )
    assert (tmp_path / "images" / "load-paced.svg").exists()
