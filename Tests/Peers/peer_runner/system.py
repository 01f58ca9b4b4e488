"""What is measured: a system with settings, each trading time for answers."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from peer_runner.gallery import Matrix, Rows


@dataclass(frozen=True)
class Setting:
    """One way to search; `values` are what the system makes of `label`."""

    label: str
    values: tuple[int, ...] = ()


Family = list[Setting]
"""Settings in order of effort: each costs more than the one before and answers no worse."""

Sweep = list[Family]
"""Families in order of effort, which bring their reach with them: the last setting of each answers no worse."""


@dataclass(frozen=True)
class Pass:
    """Answers to some probes and the time of all of them."""

    rows: Rows
    cpu_ms: float
    wall_ms: float


@dataclass(frozen=True)
class Footprint:
    """What a system took to build and takes to keep, None where unknown.

    Attributes:
        restart_s: wall time from opening what is on disk, all of it in the page cache, until one probe is answered
            with the most effort.
    """

    build_cpu_s: float | None
    build_wall_s: float | None
    disk_bytes: int
    resident_bytes: int | None
    restart_s: float | None


class System(ABC):
    """A searchable copy of the gallery."""

    key: str
    name: str
    version: str
    answers_depend_on_batch = False
    """Whether one probe alone may be answered otherwise than in a photo, so that settings are judged for both."""

    settles_threads = False
    """Whether it decides by itself how many of the threads a search uses, so that fewer are not tried."""
    uses_threads = True
    """Whether it can divide a search of one probe or of a photo."""

    @abstractmethod
    def sweeps(self) -> list[Sweep]:
        """Every setting that may be chosen."""

    @abstractmethod
    def search(self, first: int, count: int, setting: Setting, batch: int) -> Pass:
        """Searches the probes from `first`, `batch` a call."""

    @abstractmethod
    def footprint(self) -> Footprint:
        """What it cost to build and costs to keep."""

    def use_threads(self, count: int) -> None:  # noqa: B027
        """From now on one search may use this many threads; one until this is called."""

    def answer_one(self) -> None:
        """Searches a probe with the most effort there is: the first answer pays for what was mapped and not read."""
        self.search(0, 1, self.sweeps()[-1][-1][-1], 1)

    def close(self) -> None:  # noqa: B027
        """Ends what was started."""


class LibraryPeer(System):
    """A peer inside this process, timed by its CPU clock; Mien is another process and not counted."""

    _footprint: Footprint

    def __init__(self, probes: Matrix, match_limit: int) -> None:
        self._probes = probes
        self._match_limit = match_limit

    def footprint(self) -> Footprint:
        return self._footprint

    @abstractmethod
    def single_call(self, setting: Setting) -> Callable[[Any], object]:
        """A function that searches what was `prepared` of one probe; everything that can be prepared is."""

    def photo_call(self, setting: Setting) -> Callable[[Any], object]:
        """A function that searches what was `prepared` of several probes."""
        return self.single_call(setting)

    def prepared(self, probes: Matrix, setting: Setting, batch: int) -> object:
        """What a call is given for some probes, `[1 to batch × dimension]`; made before its time is taken."""
        return probes

    def rows_of(self, answer: object) -> Rows:
        """The rows in what a call returned: `[probes × k]`."""
        return np.asarray(answer, dtype=np.int64)

    def search(self, first: int, count: int, setting: Setting, batch: int) -> Pass:
        end = first + count
        call = self.single_call(setting) if batch == 1 else self.photo_call(setting)
        parts = [self._probes[start : min(end, start + batch)] for start in range(first, end, batch)]
        questions = [self.prepared(part, setting, batch) for part in parts]
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        answers = [call(question) for question in questions]
        cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
        rows = np.full((count, self._match_limit), -1, dtype=np.int64)
        next_row = 0
        for part, answer in zip(parts, answers, strict=True):
            found = self.rows_of(answer).reshape(len(part), -1)[:, : self._match_limit]
            rows[next_row : next_row + len(part), : found.shape[1]] = found
            next_row += len(part)
        return Pass(rows, cpu / 1e6, wall / 1e6)


def steps(first: int, last: int, a_doubling: int = 3) -> list[int]:
    """Numbers from `first` to `last`, spaced evenly in ratio, both ends included."""
    numbers = {first, last}
    exponent = 0
    while (number := round(first * 2 ** (exponent / a_doubling))) < last:
        numbers.add(number)
        exponent += 1
    return sorted(numbers)
