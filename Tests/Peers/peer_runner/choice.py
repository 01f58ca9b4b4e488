"""Finds, for a system, the cheapest setting that reaches a level of quality."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from peer_runner.system import Family, Setting, Sweep, System
from peer_runner.truth import Quality, Truth


@dataclass(frozen=True)
class Level:
    """What an application may ask for: the least share of some things that must be right.

    Attributes:
        measure: the share that is right.
        weigh: of how many things.
    """

    name: str
    least: float
    measure: Callable[[Quality], float]
    weigh: Callable[[Quality], float]

    def is_reached(self, quality: Quality) -> bool:
        """Whether the answers are good enough."""
        return self.measure(quality) >= self.least

    def lost(self, quality: Quality) -> float:
        """How many things are wrong."""
        return (1 - self.measure(quality)) * self.weigh(quality)


def levels(match_limit: int) -> list[Level]:
    """The three levels of the table."""
    recall = f"recall@{match_limit}"
    return [
        Level("mate@1 >= 0.99", 0.99, lambda quality: quality.mate, lambda quality: sum(quality.mates)),
        Level(f"{recall} >= 0.95", 0.95, lambda quality: quality.recall, lambda quality: quality.count),
        Level(f"{recall} >= 0.99", 0.99, lambda quality: quality.recall, lambda quality: quality.count),
    ]


@dataclass
class Trial:
    """Answers with one setting to the first probes, a photo's worth at a time; more are searched when asked for."""

    qualities: list[Quality] = field(default_factory=list)
    cpu_ms: float = 0

    @property
    def probe_count(self) -> int:
        """How many probes were searched."""
        return sum(quality.count for quality in self.qualities)

    @property
    def cost(self) -> float:
        """CPU milliseconds a probe."""
        return self.cpu_ms / self.probe_count


@dataclass(frozen=True)
class Place:
    """A setting that seems to suffice, by where it is: the sweep, the family in it, the setting in that."""

    sweep: int
    family: int
    index: int


class Trials:
    """Searches with one setting after the other; what was searched once is not searched again.

    Settings are screened on a few hundred probes, and those that come near the best of them are judged on all. A
    trial ends as soon as its outcome is certain, or when it takes too long to be the cheapest.
    """

    slack = 2.0
    """Two families in a row that take this many times the best found end a sweep: with more effort still, none is
    the cheapest. Two, since the first may have paid for something else that the machine did."""
    near = 1.25
    """What takes this many times the best of the screening is not judged on all probes."""
    finalists = 4
    """Settings that are timed in turn."""
    screened_probes = 300

    def __init__(self, system: System, truth: Truth, probe_count: int, photo: int) -> None:
        self._system = system
        self._sweeps = system.sweeps()
        self._truth = truth
        self._probe_count = probe_count
        self._photo = photo
        self._made: dict[tuple[Setting, int], Trial] = {}
        self._costs: dict[tuple[Setting, int], float] = {}
        self._weights: dict[tuple[str, int], float] = {}

    def choose(self, level: Level, batch: int) -> Setting | None:
        """The cheapest setting that reaches the level with `batch` probes a call; None when none does."""
        judged = batch if self._system.answers_depend_on_batch else self._photo
        photos = -(-self.screened_probes // self._photo)
        # Where the screening misleads, because what suffices for all probes does not for these, all are taken.
        for probe_count in sorted({min(self._probe_count, photos * self._photo), self._probe_count}):
            places = [
                Place(number, family, index)
                for number, sweep in enumerate(self._sweeps)
                for family, index in self._screened(sweep, level, judged, probe_count)
            ]
            found = self._confirmed(places, level, batch, judged)
            if found:
                return self._cheapest(found, batch)
        return None

    def _screened(self, sweep: Sweep, level: Level, judged: int, probe_count: int) -> Iterator[tuple[int, int]]:
        """The first setting that reaches the level on some probes, of every family that might be the cheapest."""

        def reaches(setting: Setting, cap: float = float("inf")) -> bool | None:
            return self._reaches(level, setting, judged, probe_count, cap)

        if not reaches(sweep[-1][-1]):
            return
        start = first_index(len(sweep) - 1, lambda number: reaches(sweep[number][-1]) is True)
        best = float("inf")
        guess = None
        dear = 0
        for number in range(start, len(sweep)):
            family, cap = sweep[number], self.slack * best

            def suffices(index: int, family: Family = family, cap: float = cap) -> bool:
                return reaches(family[index], cap) is not False

            # More lists need about the depth that the family before needed, or less.
            count = len(family)
            index = first_index(count, suffices) if guess is None else border(min(guess, count - 1), count, suffices)
            if index == count:
                continue
            if reaches(family[index], cap) is None:
                dear += 1
                if dear == 2:
                    break
                continue
            dear = 0
            guess = index
            best = min(best, self._made[family[index], judged].cost)
            yield number, index

    def _confirmed(self, places: list[Place], level: Level, batch: int, judged: int) -> list[Setting]:
        """Of these families the first settings that reach the level on all probes; only of those that may be best."""

        def setting_of(place: Place) -> Setting:
            return self._sweeps[place.sweep][place.family][place.index]

        found: list[Setting] = []
        least = best = float("inf")
        # By sweep, the first family that may still reach the level.
        starts = [0] * len(self._sweeps)
        for place in sorted(places, key=lambda place: self._cost(setting_of(place), batch)):
            if self._cost(setting_of(place), batch) > self.near * least or len(found) == self.finalists:
                break
            if place.family < starts[place.sweep]:
                continue
            sweep, cap = self._sweeps[place.sweep], self.slack * best
            family = sweep[place.family]

            def reaches(setting: Setting, cap: float = cap) -> bool | None:
                return self._reaches(level, setting, judged, self._probe_count, cap)

            def suffices(index: int, family: Family = family, reaches: Callable = reaches) -> bool:
                return reaches(family[index]) is not False

            index = border(place.index, len(family), suffices)
            if index == len(family):
                # Nor do those with fewer lists; and perhaps none does.
                starts[place.sweep] = place.family + 1 if reaches(sweep[-1][-1]) is not False else len(sweep)
            elif reaches(family[index]):
                found.append(family[index])
                least = min(least, self._cost(family[index], batch))
                best = min(best, self._made[family[index], judged].cost)
        return found

    def _reaches(self, level: Level, setting: Setting, batch: int, probe_count: int, cap: float) -> bool | None:
        """Whether the setting reaches the level on the first probes; None when it takes more than `cap` ms a probe."""
        allowed = (1 - level.least) * self._weight(level, probe_count) + 1e-9
        trial = self._made.setdefault((setting, batch), Trial())
        lost, block = 0.0, 0
        while True:
            # However the others are answered.
            if lost > allowed:
                return False
            if block > 0 and trial.cost > cap:
                return None
            first = block * self._photo
            if first >= probe_count:
                return True
            if block == len(trial.qualities):
                count = min(self._photo, self._probe_count - first)
                result = self._system.search(first, count, setting, batch)
                trial.qualities.append(self._truth.quality(result.rows, first))
                trial.cpu_ms += result.cpu_ms
            lost += level.lost(trial.qualities[block])
            block += 1

    def _weight(self, level: Level, probe_count: int) -> float:
        """How many things the level counts among the first probes."""
        key = (level.name, probe_count)
        if key not in self._weights:
            nothing = np.full((probe_count, self._truth.match_limit), -1, dtype=np.int64)
            self._weights[key] = level.weigh(self._truth.quality(nothing))
        return self._weights[key]

    def _cost(self, setting: Setting, batch: int) -> float:
        """CPU milliseconds a probe with `batch` probes a call."""
        trial = self._made.get((setting, batch))
        if trial is not None and trial.probe_count:
            return trial.cost
        if (setting, batch) not in self._costs:
            count = min(self._probe_count, self._photo)
            self._costs[setting, batch] = self._system.search(0, count, setting, batch).cpu_ms / count
        return self._costs[setting, batch]

    def _cheapest(self, candidates: list[Setting], batch: int) -> Setting:
        """Times the candidates in turn, on the same probes."""
        if len(candidates) == 1:
            return candidates[0]
        count = min(self._probe_count, self._photo)
        costs: dict[Setting, list[float]] = {setting: [] for setting in candidates}
        for turn in range(5):
            first = turn * count % max(1, self._probe_count - count + 1)
            for setting in candidates:
                costs[setting].append(self._system.search(first, count, setting, batch).cpu_ms)
        return min(candidates, key=lambda setting: median(costs[setting]))


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


def border(guess: int, count: int, is_reached: Callable[[int], bool]) -> int:
    """The same as `first_index`, asked for from a guess on: down step by step, up in steps that double."""
    if is_reached(guess):
        while guess > 0 and is_reached(guess - 1):
            guess -= 1
        return guess
    low, step = guess + 1, 1
    while low < count:
        high = min(low + step, count) - 1
        if is_reached(high):
            return low + first_index(high - low, lambda index, low=low: is_reached(low + index))
        low, step = high + 1, step * 2
    return count
