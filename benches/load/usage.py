"""What a process uses of the machine: this one, or another one by its number."""

from __future__ import annotations

import os
import resource
from pathlib import Path

PAGE_KB = resource.getpagesize() // 1024


def cpu_s() -> tuple[float, float]:
    """Seconds of user and system time of all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime, usage.ru_stime


def cpu_s_of(process: int) -> float:
    """Seconds of user and system time of all threads of another process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_kb(process: int | str = "self") -> int:
    """Resident memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE_KB


def switches() -> int:
    """How often threads of this process were switched."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_nvcsw + usage.ru_nivcsw


def threads(process: int | str = "self") -> int:
    """Threads of the process, those that Python does not know included."""
    return len(os.listdir(f"/proc/{process}/task"))


def descriptors(process: int | str = "self") -> int:
    """Open file descriptors."""
    return len(os.listdir(f"/proc/{process}/fd"))


def cpu_by_thread() -> dict[str, float]:
    """Seconds that the threads of each name have run."""
    used: dict[str, float] = {}
    for task in Path("/proc/self/task").iterdir():
        try:
            name = (task / "comm").read_text().strip()
            nanoseconds = int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            # It has ended meanwhile.
            continue
        used[name] = used.get(name, 0.0) + nanoseconds / 1e9
    return used
