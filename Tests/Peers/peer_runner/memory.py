"""Resident memory, as Linux counts it."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path


def resident_bytes(process: int | str = "self") -> int:
    """Bytes of the process that are in memory, mapped files included."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def settled_bytes() -> int:
    """Resident bytes of this process after memory that was freed is given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return resident_bytes()
