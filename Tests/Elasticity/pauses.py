"""How long the machine itself keeps a program waiting: what jHiccup measures (Gil Tene, 2012).

Run as a program it sleeps again and again, with a real-time priority where it may have one, so that no other program
keeps it from waking: whatever it is late by, everything else on its processor was kept waiting, too, by the kernel or
by the host of a virtual machine.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

INTERVAL = 0.005
LEAST = 0.005


class Pauses:
    """Looks from its making to its end."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with file.open("wb") as output:
            self._process = subprocess.Popen([sys.executable, __file__], stdout=output, stdin=subprocess.DEVNULL)

    def longest(self, begin: float, end: float) -> float:
        """Seconds, of the pauses that ended between two moments; 0 for none that is worth telling."""
        pauses = (line.split() for line in self._file.read_text().splitlines())
        return max((float(late) for moment, late in pauses if begin <= float(moment) <= end), default=0.0)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def main() -> None:
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    due = time.monotonic() + INTERVAL
    while True:
        time.sleep(max(0.0, due - time.monotonic()))
        late = time.monotonic() - due
        if late > LEAST:
            print(f"{time.time():.6f} {late:.6f}", flush=True)
        due = time.monotonic() + INTERVAL


if __name__ == "__main__":
    main()
