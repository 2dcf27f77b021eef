"""What this process uses of the machine."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path

PAGE_KB = resource.getpagesize() // 1024


def cpu_s() -> tuple[float, float]:
    """Seconds of user and system time of all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime, usage.ru_stime


def rss_kb() -> int:
    """Resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_KB


def switches() -> int:
    """How often threads of this process were switched."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_nvcsw + usage.ru_nivcsw


def threads() -> int:
    """Threads of the process, those that Python does not know included."""
    return len(os.listdir("/proc/self/task"))


def python_threads() -> int:
    """Threads that Python knows."""
    return threading.active_count()


def descriptors() -> int:
    """Open file descriptors."""
    return len(os.listdir("/proc/self/fd"))
