"""How long it takes from opening an index on disk until it has answered a probe."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from peer_runner.memory import settled_bytes

REPEATS = 3
BLOCK_BYTES = 1 << 22


@dataclass(frozen=True)
class Opening:
    """What opening an index took and takes.

    Attributes:
        seconds: by the clock on the wall, with the files in the page cache.
        resident_bytes: growth of this process.
    """

    seconds: float
    resident_bytes: int

    def __add__(self, other: Opening) -> Opening:
        return Opening(self.seconds + other.seconds, self.resident_bytes + other.resident_bytes)


def open_warm(paths: list[Path], load: Callable[[], object], answer: Callable[[], object]) -> Opening:
    """Opens an index a few times: `load` reads it and forgets what it read before, `answer` searches."""
    warm(paths)
    before, resident = settled_bytes(), 0
    times = []
    for repeat in range(REPEATS):
        started = time.perf_counter()
        load()
        answer()
        times.append(time.perf_counter() - started)
        if repeat == 0:
            resident = settled_bytes() - before
    return Opening(median(times), resident)


def warm(paths: list[Path]) -> None:
    """Reads the files, or all files of folders, so that what is timed afterwards does not wait for the disk."""
    for path in paths:
        for file in [path] if path.is_file() else path.rglob("*"):
            if file.is_file():
                with file.open("rb", buffering=0) as stream:
                    while stream.read(BLOCK_BYTES):
                        pass


def await_opened(process: int, file: Path, is_running: Callable[[], bool]) -> float:
    """Waits until the process has the file open, or has ended; the time by `time.perf_counter` then.

    Looks every third of a millisecond.
    """
    wanted = file.resolve()
    while is_running() and not _has_open(process, wanted):
        time.sleep(0.0003)
    return time.perf_counter()


def _has_open(process: int, file: Path) -> bool:
    try:
        return any(link.readlink() == file for link in Path(f"/proc/{process}/fd").iterdir())
    except OSError:
        # A file that was closed, or the process ended, between listing and looking.
        return False
