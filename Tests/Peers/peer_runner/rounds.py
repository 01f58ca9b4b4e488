"""Times the chosen settings in turn, so that what else the machine does falls on all alike."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from peer_runner.gallery import Rows
from peer_runner.system import Setting, System
from peer_runner.truth import Quality, Truth


@dataclass(frozen=True)
class Entrant:
    """A system with one setting, searched `batch` probes a call by up to so many threads."""

    system: System
    setting: Setting
    batch: int
    threads: int = 1


@dataclass
class Times:
    """Milliseconds a probe, one entry a round, and the answers of all rounds."""

    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    answers: dict[int, Rows] = field(default_factory=dict)
    """By first probe."""

    def quality(self, truth: Truth) -> Quality:
        """How good the answers were; photos that came round twice count once."""
        return Quality.of_all([truth.quality(rows, first) for first, rows in sorted(self.answers.items())])


def run_rounds(entrants: list[Entrant], rounds: int, probe_count: int, photo: int) -> dict[Entrant, Times]:
    """One photo's worth of probes a round, the same for all; every other round in the opposite order.

    Before its time is taken each entrant searches other probes, so that it does not pay for the caches that
    the one before it filled.
    """
    times = {entrant: Times() for entrant in entrants}
    photos = max(1, probe_count // photo)
    count = min(photo, probe_count)
    for turn in range(rounds):
        print(f"\rround {turn + 1} of {rounds}", end="", file=sys.stderr, flush=True)
        first = turn % photos * count
        warm = (turn + 1) % photos * count
        for entrant in entrants if turn % 2 == 0 else reversed(entrants):
            warm_count = count if entrant.batch > 1 else min(count, 25)
            entrant.system.use_threads(entrant.threads)
            entrant.system.search(warm, warm_count, entrant.setting, entrant.batch)
            result = entrant.system.search(first, count, entrant.setting, entrant.batch)
            own = times[entrant]
            own.cpu_ms.append(result.cpu_ms / count)
            own.wall_ms.append(result.wall_ms / count)
            own.answers[first] = result.rows
    print(file=sys.stderr)
    return times


def quickest_threads(system: System, setting: Setting, batch: int, threads: int, probe_count: int) -> int:
    """By how many threads, one or all, searches take least wall time: not all work gains from being divided."""
    if not system.uses_threads:
        return 1
    if threads == 1 or system.settles_threads:
        return threads
    times: dict[int, list[float]] = {1: [], threads: []}
    for _ in range(5):
        for count, own in times.items():
            system.use_threads(count)
            own.append(system.search(0, probe_count, setting, batch).wall_ms)
    return min(times, key=lambda count: median(times[count]))


def ratio(times: list[float], base: list[float]) -> tuple[float, float, float]:
    """Times over those of `base`, round by round: median, lower and upper quartile."""
    ratios = [own / other for own, other in zip(times, base, strict=True)]
    low, high = np.quantile(ratios, [0.25, 0.75])
    return median(ratios), float(low), float(high)
