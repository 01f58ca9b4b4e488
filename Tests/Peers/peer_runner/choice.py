"""Finds, for a system, the cheapest setting that reaches a level of quality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

from peer_runner.system import Family, Pass, Setting, Sweep, System
from peer_runner.truth import Quality, Truth


@dataclass(frozen=True)
class Level:
    """What an application may ask for."""

    name: str
    least: float
    measure: Callable[[Quality], float]

    def is_reached(self, quality: Quality) -> bool:
        """Whether the answers are good enough."""
        return self.measure(quality) >= self.least


def levels(match_limit: int) -> list[Level]:
    """The three levels of the table."""
    recall = f"recall@{match_limit}"
    return [
        Level("mate@1 >= 0.99", 0.99, lambda quality: quality.mate),
        Level(f"{recall} >= 0.95", 0.95, lambda quality: quality.recall),
        Level(f"{recall} >= 0.99", 0.99, lambda quality: quality.recall),
    ]


class Trials:
    """Searches of all probes with one setting after the other, each made once."""

    slack = 2.0
    """Families that take this many times the best found end a sweep: more effort still cannot be the cheapest."""

    def __init__(self, system: System, truth: Truth, probe_count: int, photo: int) -> None:
        self._system = system
        self._truth = truth
        self._probe_count = probe_count
        self._photo = photo
        self._made: dict[tuple[Setting, int], tuple[Quality, Pass]] = {}

    def choose(self, level: Level, batch: int) -> Setting | None:
        """The cheapest setting that reaches the level with `batch` probes a call; None when none does."""
        judged = batch if self._system.answers_depend_on_batch else self._photo
        candidates = [
            setting
            for sweep in self._system.sweeps()
            for setting in self._candidates(
                sweep, lambda setting: level.is_reached(self._try(setting, judged)[0]), judged
            )
        ]
        return self._cheapest(candidates, batch)

    def _try(self, setting: Setting, batch: int) -> tuple[Quality, Pass]:
        made = self._made.get((setting, batch))
        if made is None:
            result = self._system.search(0, self._probe_count, setting, batch)
            made = (self._truth.quality(result.rows), result)
            self._made[setting, batch] = made
        return made

    def _candidates(self, sweep: Sweep, is_reached: Callable[[Setting], bool], batch: int) -> list[Setting]:
        """The first setting that reaches the level, of every family that might be the cheapest."""
        start = first_index(len(sweep), lambda index: is_reached(sweep[index][-1]))
        candidates: list[Setting] = []
        best = float("inf")
        bound = max((len(family) for family in sweep), default=0)
        for family in sweep[start:]:
            # More lists need no more depth, so what the family before needed bounds the search.
            tried = family[: bound + 1]
            index = first_index(len(tried), partial(_holds, is_reached, tried))
            if index == len(tried):
                continue
            bound = index
            cost = self._try(family[index], batch)[1].cpu_ms
            best = min(best, cost)
            if cost > self.slack * best:
                break
            candidates.append(family[index])
        return candidates

    def _cheapest(self, candidates: list[Setting], batch: int) -> Setting | None:
        """Times the candidates in turn, on the same probes."""
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        count = min(self._probe_count, self._photo)
        costs: dict[Setting, list[float]] = {setting: [] for setting in candidates}
        for turn in range(5):
            first = turn * count % max(1, self._probe_count - count + 1)
            for setting in candidates:
                costs[setting].append(self._system.search(first, count, setting, batch).cpu_ms)
        return min(candidates, key=lambda setting: median(costs[setting]))


def _holds(rule: Callable[[Setting], bool], family: Family, index: int) -> bool:
    return rule(family[index])


def first_index(count: int, is_reached: Callable[[int], bool]) -> int:
    """The first index from which on the rule holds, `count` when there is none; for rules that hold once they do."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if is_reached(middle):
            high = middle
        else:
            low = middle + 1
    return low
