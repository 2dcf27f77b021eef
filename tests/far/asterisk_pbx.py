"""A real Asterisk, unpacked into a cache folder and run on loopback by a test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Asterisk", "AsteriskCall", "NoAsteriskError", "install"]

_HERE = Path(__file__).parent / "asterisk"
_CODECS = {8000: ("slin", "sln"), 16_000: ("slin16", "sln16"), 24_000: ("slin24", "sln24")}


class NoAsteriskError(Exception):
    """It cannot be had here; says why."""


def install(cache: Path) -> Path:
    """Puts Asterisk into the folder, unless it is there; gives the folder."""
    done = subprocess.run(
        [_HERE / "install.sh", cache], capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode:
        raise NoAsteriskError(done.stderr.strip().splitlines()[-1])
    return cache


@dataclass(frozen=True, slots=True)
class AsteriskCall:
    """A call that Asterisk makes."""

    id: str
    recorded: Path
    rate: int

    def heard(self) -> NDArray[np.int16]:
        """What the caller has heard so far."""
        if not self.recorded.exists():
            return np.zeros(0, np.int16)
        sound = self.recorded.read_bytes()
        return np.frombuffer(sound[: len(sound) // 2 * 2], np.int16)


class Asterisk:
    """Runs in a folder of its own."""

    def __init__(self, cache: Path, folder: Path, *, websocket_port: int) -> None:
        self._cache, self._folder = cache, folder
        modules = next((cache / "root/usr/lib").glob("*/asterisk/modules"))
        words = {
            "@ROOT@": cache / "root",
            "@RUN@": folder,
            "@MODULES@": modules,
            "@WEBSOCKET_PORT@": websocket_port,
        }
        for name in ("etc", "lib", "log", "spool/outgoing", "spool/tmp", "spool/monitor"):
            (folder / name).mkdir(parents=True)
        for config in (_HERE / "config").glob("*.conf"):
            text = config.read_text()
            for word, value in words.items():
                text = text.replace(word, str(value))
            (folder / "etc" / config.name).write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def _command(self, *arguments: str) -> list[str]:
        config = self._folder / "etc" / "asterisk.conf"
        return [str(_HERE / "asterisk"), str(self._cache), "-C", str(config), *arguments]

    def start(self) -> None:
        """Starts it, and waits until it has booted.

        Raises:
            NoAsteriskError: it does not start.
        """
        with (self._folder / "console").open("wb") as console:
            self._process = subprocess.Popen(
                self._command("-f"),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        until = time.monotonic() + 30
        while time.monotonic() < until and self._process.poll() is None:
            if "fully booted" in self._told("core waitfullybooted"):
                return
            time.sleep(0.05)
        why = self.log()[-500:]
        self.stop()
        raise NoAsteriskError(f"Asterisk does not start: {why}")

    def _told(self, command: str) -> str:
        asked = self._command("-rx", command)
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout

    def stop(self) -> None:
        """Stops it."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def log(self) -> str:
        """What it has logged."""
        messages = self._folder / "log" / "messages"
        return messages.read_text(errors="replace") if messages.exists() else ""

    def call(
        self,
        extension: str,
        *,
        rate: int = 8000,
        says: NDArray[np.int16] | None = None,
        digits: str = "",
        stays: float = 1,
        port: int = 0,
        token: str = "",
    ) -> AsteriskCall:
        """Calls an extension: the caller says something, presses keys, waits, and hangs up."""
        codec, suffix = _CODECS[rate]
        name = uuid.uuid4().hex[:8]
        call_id = str(uuid.uuid4())
        sound = self._folder / "spool/tmp" / f"{name}-sound"
        if says is not None:
            says.tofile(f"{sound}.{suffix}")
        recorded = self._folder / "spool/monitor" / name
        variables = {
            "RECORDED": recorded,
            "SUFFIX": suffix,
            "CODEC": codec,
            "SOUND": "" if says is None else sound,
            "DIGITS": digits,
            "STAYS": stays,
            "ID": call_id,
            "PORT": port,
            "TOKEN": token,
        }
        lines = [
            "Channel: Local/caller@tests/n",
            f"Codecs: {codec}",
            "MaxRetries: 0",
            "WaitTime: 10",
            "Context: tests",
            f"Extension: {extension}",
            "Priority: 1",
            *(f"Setvar: __{name}={value}" for name, value in variables.items()),
        ]
        # It takes what is there at once: the file is put there whole.
        written = self._folder / "spool/tmp" / f"{name}.call"
        written.write_text("\n".join(lines) + "\n")
        os.replace(written, self._folder / "spool/outgoing" / written.name)
        return AsteriskCall(call_id, recorded.with_name(f"{name}.{suffix}"), rate)
