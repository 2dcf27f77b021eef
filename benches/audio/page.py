"""Measures the audio core and writes docs/audio.md with its plots.

Needs the extension built with `maturin develop --release`, the extra `dev`, and valgrind for the
instruction counts. Run it from the repository's root: `python benches/audio/page.py`.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("svg")

import frame
import matplotlib.pyplot as plt
import numpy as np
import quality
from quality import RESAMPLERS
from test_speed import RATES, SHORT, resamplers

from stapes.audio import Resampler

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path("docs/audio.md")
IMAGES = Path("docs/images")
RESULTS = Path("out/audio-speed.json")

# Where tones are measured, in units of the lower rate.
IN_BAND = np.linspace(0.01, 0.4, 14)
ABOVE = np.linspace(0.5501, 1.3, 12)

Speed = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Claim:
    """Something promised, and what was measured."""

    what: str
    promised: str
    measured: str
    kept: bool

    def row(self) -> list[str]:
        return [self.what, self.promised, self.measured, "yes" if self.kept else "**no**"]


def run(*command: str) -> str:
    """Run a command and give what it printed."""
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


def measure_speed() -> Speed:
    """Give the microseconds per call, by group and library: the fastest round."""
    RESULTS.parent.mkdir(exist_ok=True)
    options = ["-o", "addopts=", "-q", "-p", "no:cacheprovider", f"--benchmark-json={RESULTS}"]
    run(sys.executable, "-m", "pytest", "benches/audio/test_speed.py", *options)
    speed: Speed = {}
    for result in json.loads(RESULTS.read_text())["benchmarks"]:
        match result["params"]:
            case {"name": name}:
                speed.setdefault(result["group"], {})[name] = result["stats"]["min"] * 1e6
    return speed


def compare(one: Callable[[], Any], other: Callable[[], Any]) -> float:
    """Give the time of one call in units of another's: the fastest rounds, taken in turns.

    In turns, because a machine that does other things as well would else favour one of them.
    """

    def round_of(call: Callable[[], Any]) -> float:
        start = time.perf_counter()
        for _ in range(100):
            call()
        return time.perf_counter() - start

    rounds = [(round_of(one), round_of(other)) for _ in range(400)]
    return min(mine for mine, _ in rounds) / min(theirs for _, theirs in rounds)


def count_instructions() -> dict[tuple[int, int], int]:
    """Give the instructions of 20 ms, from calling to returning."""
    built = run("cargo", "bench", "--bench", "audio_kernel", "--no-run")
    (binary,) = re.findall(r"\((target/\S*audio_kernel\S*)\)", built)

    def count(source: int, target: int, times: int) -> int:
        tool = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        report = run(*tool, binary, str(source), str(target), str(times))
        (collected,) = re.findall(r"Collected : (\d+)", report)
        return int(collected)

    return {rates: (count(*rates, 1100) - count(*rates, 100)) // 1000 for rates in RATES}


def table(head: list[str], rows: list[list[str]]) -> str:
    """Set a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def worst_rounding(source: int, target: int) -> float:
    """Give how far 16-bit output is from the float output, in units of the integer."""
    sound = quality.tone(source, 997)
    floats = quality.convert("stapes", source, target, sound)
    stream = Resampler(source, target, output="int16")
    integers = np.concatenate([stream.process(sound), stream.flush()])
    return float(np.abs(integers - floats.astype(np.float64) * 32_768).max())


def resampler_claims(source: int, target: int) -> list[Claim]:
    """Measure one conversion against what is promised of it."""
    lower = min(source, target)
    tones = [quality.measure_tone("stapes", source, target, at * lower) for at in IN_BAND]
    snr = min(tone.snr for tone in tones)
    ripple = max(abs(tone.gain) for tone in tones)
    delay = quality.measure_delay("stapes", source, target) * 1000
    most = 3 if lower >= 16_000 else 6
    calls = resamplers(source, target)
    floats = compare(calls["stapes float32"], calls["soxr HQ float32"])
    integers = compare(calls["stapes int16"], calls["soxr HQ int16"])
    rounding = worst_rounding(source, target)
    name = f"{source / 1000:g} to {target / 1000:g} kHz"
    claims = [
        Claim(f"{name}: SNR to 0.4", "at least 130 dB", f"{snr:.1f} dB", snr >= 130),
        Claim(f"{name}: int16", "within 1 unit", f"{rounding:.2f}", rounding <= 1),
        Claim(f"{name}: ripple to 0.4", "under 0.01 dB", f"{ripple:.6f} dB", ripple < 0.01),
        Claim(f"{name}: delay", f"at most {most} ms", f"{delay:.2f} ms", delay <= most),
        Claim(f"{name}: time of soxr HQ, float32", "at most 0.7", f"{floats:.2f}", floats <= 0.7),
        Claim(f"{name}: time of soxr HQ, int16", "at most 0.7", f"{integers:.2f}", integers <= 0.7),
    ]
    if source > target:
        frequencies = [at * lower for at in ABOVE if at * lower < source / 2]
        alias = max(quality.measure_alias("stapes", source, target, f) for f in frequencies)
        claim = Claim(
            f"{name}: aliasing above 0.55", "at most -120 dB", f"{alias:.1f} dB", alias <= -120
        )
        claims.insert(2, claim)
    return claims


def short_claims(delta: float) -> list[Claim]:
    """Compare the short calls with the standard library's."""
    claims = []
    for group, other, least in [
        ("base64 decode", "binascii", 8),
        ("base64 encode", "binascii", 5),
        ("mu-law encode", "audioop", 2),
        ("A-law encode", "audioop", 2),
        ("mu-law decode", "audioop", 1),
        ("A-law decode", "audioop", 1),
    ]:
        if other in SHORT[group]:
            times = compare(SHORT[group][other], SHORT[group]["stapes"])
            promise = f"at least {least} times as fast as {other}"
            claims.append(Claim(group, promise, f"{times:.2f} times", times >= least))
    claims.append(
        Claim(
            "audio delta of 100 ms, JSON text to the session's PCM bytes, CPU",
            "under 3 us",
            f"{delta:.2f} us",
            delta < 3,
        )
    )
    return claims


def draw_response() -> None:
    figure, axes = plt.subplots(figsize=(7, 4))
    for name in RESAMPLERS:
        frequencies, gain = quality.frequency_response(name)
        axes.plot(frequencies, gain, label=name, linewidth=1)
    axes.axvline(0.5, color="grey", linewidth=0.5)
    axes.set(
        xlim=(0.3, 0.8),
        ylim=(-180, 5),
        xlabel="frequency / lower rate",
        ylabel="gain in dB",
        title="Frequency response, 24 to 48 kHz",
    )
    save(figure, axes, "audio-response")


def draw_aliasing() -> None:
    figure, axes = plt.subplots(figsize=(7, 4))
    places = np.linspace(0.45, 0.95, 41)
    for name in RESAMPLERS:
        leaks = [quality.measure_alias(name, 48_000, 24_000, at * 24_000) for at in places]
        axes.plot(places, leaks, label=name, linewidth=1)
    axes.axvline(0.5, color="grey", linewidth=0.5)
    axes.set(
        ylim=(-190, 5),
        xlabel="frequency / lower rate",
        ylabel="what is left in dB",
        title="Tones above the new Nyquist frequency (0.5), 48 to 24 kHz",
    )
    save(figure, axes, "audio-aliasing")


def draw_snr() -> None:
    figure, axes = plt.subplots(figsize=(7, 4))
    places = np.linspace(0.01, 0.48, 40)
    for name in RESAMPLERS:
        tones = [quality.measure_tone(name, 24_000, 48_000, at * 24_000) for at in places]
        axes.plot(places, [tone.snr for tone in tones], label=name, linewidth=1)
    axes.axhline(130, color="grey", linewidth=0.5)
    axes.set(
        xlabel="frequency / lower rate",
        ylabel="SNR in dB",
        title="Signal to noise and images, 24 to 48 kHz",
    )
    save(figure, axes, "audio-snr")


def draw_speed(speed: Speed, delays: dict[str, float]) -> None:
    figure, axes = plt.subplots(figsize=(7, 4))
    times = speed["resample 24000 to 48000"]
    for name, library in [
        ("stapes float32", "stapes"),
        ("soxr HQ float32", "soxr HQ"),
        ("samplerate sinc_fastest", "samplerate sinc_fastest"),
    ]:
        axes.scatter(delays[library] * 1000, times[name], label=library)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="delay in ms",
        ylabel="microseconds for 20 ms",
        title="Delay against time, 24 to 48 kHz through Python",
    )
    save(figure, axes, "audio-speed")


def save(figure: plt.Figure, axes: plt.Axes, name: str) -> None:
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(IMAGES / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def speed_table(speed: Speed) -> str:
    rows = []
    for group, calls in speed.items():
        base = calls.get("stapes", calls.get("stapes float32", 0.0))
        rows += [[group, name, f"{time:.2f}", f"{time / base:.2f}"] for name, time in calls.items()]
    return table(["what", "with", "microseconds", "times stapes"], rows)


def delay_table(delays: dict[str, float]) -> str:
    rows = [
        [name, "everything" if name == "scipy resample_poly" else f"{delay * 1000:.2f} ms"]
        for name, delay in delays.items()
    ]
    return table(["24 to 48 kHz with", "holds back"], rows)


def instruction_table(counts: dict[tuple[int, int], int]) -> str:
    rows = [[f"{a} to {b}", f"{count:,}"] for (a, b), count in counts.items()]
    return table(["20 ms of int16", "instructions"], rows)


def main() -> None:
    """Measure everything and write the page."""
    mpl.rcParams["svg.hashsalt"] = "stapes"
    IMAGES.mkdir(parents=True, exist_ok=True)
    speed = measure_speed()
    delta = frame.measure()
    counts = count_instructions()
    claims = [claim for rates in RATES for claim in resampler_claims(*rates)]
    claims += short_claims(delta)
    delays = {name: quality.measure_delay(name, 24_000, 48_000) for name in RESAMPLERS}
    draw_response()
    draw_aliasing()
    draw_snr()
    draw_speed(speed, delays)
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("soxr", "samplerate", "scipy", "pybase64", "av")
    )
    PAGE.write_text(f"""# Sound: what it costs and what it does to a tone

Generated by `python benches/audio/page.py` on {platform.machine()} with
CPython {platform.python_version()}, {libraries}.

Times are of the fastest of many rounds, through Python, the call included; they vary from machine
to machine, the rest does not. Libraries that are compared with a promise take turns.

## Promised and measured

Frequencies are in units of the lower rate, decibels relative to the test tone. Resamplers are fed
20 ms at a time.

{table(["what", "promised", "measured", "kept"], [claim.row() for claim in claims])}

## How it sounds

![Frequency response](images/audio-response.svg)

The transition band is centred on the Nyquist frequency of the lower rate and reaches from 0.45 to
0.55 of it. What lies within folds back attenuated; a filter that ends at 0.5 holds sound back for
twice as long or more.

![Aliasing](images/audio-aliasing.svg)

![Signal to noise](images/audio-snr.svg)

## How long it takes

![Delay against time](images/audio-speed.svg)

{delay_table(delays)}

The delay is what the algorithm holds back, chunks aside.

{speed_table(speed)}

Instructions as callgrind counts them, of the Rust call (AVX2):

{instruction_table(counts)}
""")


if __name__ == "__main__":
    main()
