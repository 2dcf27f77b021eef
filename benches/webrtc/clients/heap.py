"""What of the memory that a process has from the system is in use, as glibc sees it."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import tempfile


def in_use_kb() -> float:
    """KiB that have been allocated and not been freed, what is free being given back before.

    With `PYTHONMALLOC=malloc` that is Python's as well. RSS also has what is free but lies between
    what is not.
    """
    gc.collect()
    libc = ctypes.CDLL(None)
    libc.fdopen.restype = ctypes.c_void_p
    libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
    libc.fclose.argtypes = [ctypes.c_void_p]
    libc.malloc_trim(0)
    with tempfile.TemporaryFile("w+") as file:
        stream = libc.fdopen(os.dup(file.fileno()), b"w")
        libc.malloc_info(0, stream)
        libc.fclose(stream)
        file.seek(0)
        # The sums over all arenas come last.
        told = file.read().rpartition("</heap>")[2]
    sizes = {kind: int(size) for kind, size in re.findall(r'type="(\w+)"[^>]* size="(\d+)"', told)}
    return (sizes["current"] - sizes["fast"] - sizes["rest"] + sizes["mmap"]) / 1024
