"""What a load's report says of a span of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peer_runner.markdown import table

WRITES = ("enrol", "upsert", "delete")


@dataclass
class Phase:
    """Something that went on from one moment to another, in seconds since 1970."""

    name: str
    begin: float
    end: float
    moved_bytes: int = 0
    """That were copied, in all steps."""
    replica_bytes: int = 0
    """That the replicas which moved, or the shards that were made, have."""
    least_bytes: int = 0
    """That replicas have which have to move, or shards that have to be made, whoever does it."""
    step_count: int = 0
    planned_seconds: float = 0.0
    """That `mien plan` told, of all commands one after the other."""
    planned_bytes: int = 0
    """That `mien plan` told of its steps."""
    bare_seconds: float = 0.0
    """Without the pauses that were made between; 0 without any."""
    is_idle: bool = False
    """Whether nothing was changed."""
    pause: float = 0.0
    """Seconds that the machine kept everything waiting for, at most."""

    @property
    def seconds(self) -> float:
        return self.end - self.begin


class Times:
    """Times of calls in microseconds, by how many there were: the buckets of the report's histograms."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def add(self, buckets: list[int]) -> None:
        """Takes a histogram's `[µs, count, µs, count, …]`."""
        for time, count in zip(buckets[::2], buckets[1::2], strict=True):
            self._counts[time] = self._counts.get(time, 0) + count

    @property
    def count(self) -> int:
        return sum(self._counts.values())

    @property
    def longest(self) -> int:
        return max(self._counts, default=0)

    def percentile(self, percent: float) -> int:
        """The time within which this share of the calls ended; 0 without any."""
        wanted = self.count * percent / 100
        seen = 0
        for time in sorted(self._counts):
            seen += self._counts[time]
            if seen >= wanted:
                return time
        return 0


class Series:
    """A report of `mien load --json-file`, by the windows in which calls were to begin."""

    def __init__(self, report: dict[str, Any]) -> None:
        self._start = datetime.fromisoformat(report["started_at"]).timestamp()
        self._window: float = report["series"]["window_seconds"]
        self._windows: list[dict[str, Any]] = report["series"]["windows"]

    def times(self, operations: tuple[str, ...], *phases: Phase) -> Times:
        """Of calls that were to begin in a window that a phase has part in; a window of two phases counts twice."""
        times = Times()
        for window in (window for phase in phases for window in self._within(phase)):
            for name in operations:
                if name in window["operations"]:
                    times.add(window["operations"][name]["times"]["buckets"])
        return times

    def found_share(self, phase: Phase) -> tuple[int, int]:
        """Matches of answers that were compared with exact searches, of calls as in `times`: found, and required."""
        windows = self._within(phase)
        found = sum(window.get("found_match_count", 0) for window in windows)
        return found, sum(window.get("required_match_count", 0) for window in windows)

    def _within(self, phase: Phase) -> list[dict[str, Any]]:
        """The windows that the phase has part in."""
        begins = (self._start + index * self._window for index in range(len(self._windows)))
        return [
            window
            for begin, window in zip(begins, self._windows, strict=True)
            if begin + self._window > phase.begin and begin < phase.end
        ]

    def statuses(self, is_meant: Callable[[str], bool] = lambda _: True) -> Counter[str]:
        """How calls ended, of the operations that are meant."""
        counts: Counter[str] = Counter()
        for window in self._windows:
            for operation, figures in window["operations"].items():
                if is_meant(operation):
                    counts.update(figures["statuses"])
        return counts

    @property
    def call_count(self) -> int:
        return self.statuses().total()

    @property
    def partial_count(self) -> int:
        return self.statuses()["partial"]

    @property
    def failed_count(self) -> int:
        statuses = self.statuses()
        return statuses.total() - statuses["ok"] - statuses["partial"]


def phase_table(parts: list[tuple[Series, list[Phase]]]) -> str:
    """In Markdown; times against those of all phases of the same load in which nothing was changed, taken together."""
    lines = [
        [
            "meanwhile",
            "took",
            "planned",
            "bytes copied",
            "of replicas",
            "least",
            "search p50",
            "p99",
            "to idle",
            "longest",
            "write p99",
        ]
        + ["longest write", "pause of the machine", "matches"]
    ]
    for series, phases in parts:
        base = series.times(("search",), *(phase for phase in phases if phase.is_idle)).percentile(99)
        for phase in phases:
            searches, writes = series.times(("search",), phase), series.times(WRITES, phase)
            p99 = searches.percentile(99)
            found, required = series.found_share(phase)
            bare = f"{phase.bare_seconds:.1f} of " if phase.bare_seconds else ""
            planned = f"{phase.planned_seconds:.1f} s, {phase.planned_bytes / 1e9:.2f} GB"
            lines.append(
                [
                    phase.name,
                    bare + f"{phase.seconds:.1f} s",
                    planned if phase.planned_seconds else "",
                    f"{phase.moved_bytes / 1e9:.2f} GB, {phase.step_count} steps" if phase.step_count else "",
                    f"{phase.replica_bytes / 1e9:.2f} GB" if phase.step_count else "",
                    f"{phase.least_bytes / 1e9:.2f} GB" if phase.step_count else "",
                    milliseconds(searches.percentile(50)),
                    milliseconds(p99),
                    f"{p99 / base:.1f}" if base else "",
                    milliseconds(searches.longest),
                    milliseconds(writes.percentile(99)),
                    milliseconds(writes.longest),
                    milliseconds(int(phase.pause * 1e6)) if phase.pause else "",
                    f"{found / required:.1%} of {required}" if required else "",
                ]
            )
    return table(lines)


def milliseconds(microseconds: int) -> str:
    value = microseconds / 1000
    return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"
