"""The result of a run, for a person and for a program."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from peer_runner.choice import Level
from peer_runner.markdown import table
from peer_runner.rounds import Entrant, Times, ratio
from peer_runner.system import System
from peer_runner.truth import BAND_FLOORS, Truth


@dataclass(frozen=True)
class Contest:
    """All systems at one level and batch size; None for one that has no setting that reaches it."""

    level: Level
    batch: int
    entrants: list[tuple[System, Entrant | None]]


class Report:
    """Tables of one run."""

    def __init__(
        self,
        heading: dict[str, str],
        systems: list[System],
        contests: list[Contest],
        times: dict[Entrant, Times],
        truth: Truth,
        *,
        default: list[Entrant] | None = None,
        by_wall: bool = False,
    ) -> None:
        """CPU time decides which peer is best and makes the ratios; with several threads, time on the wall.

        `default` are searches with Mien's default effort, which were timed beside what the levels chose.
        """
        self._heading = heading
        self._face_count = truth.face_count
        self._by_wall = by_wall
        self._systems = systems
        self._contests = contests
        self._times = times
        self._default = default or []
        self._recall_name = f"recall@{truth.match_limit}"
        self._quality = {entrant: own.quality(truth) for entrant, own in times.items()}

    def text(self) -> str:
        """Everything, as Markdown tables that also read well in a terminal."""
        parts = ["\n".join(f"{key}: {value}" for key, value in self._heading.items())]
        for contest in self._contests:
            parts.append(f"{contest.level.name}, {_batch_name(contest.batch)}\n\n{self._contest_table(contest)}")
        title = f"Best peer's {self._time_name} time over Mien's (median and quartiles of the rounds)"
        parts.append(f"{title}\n\n{self._summary()}")
        if self._default:
            parts.append(f"Mien's default effort, beside the best peer of each level\n\n{self._default_table()}")
        parts.append(f"Mates found first, by similarity of the mate\n\n{self._bands()}")
        parts.append(f"Build and keep\n\n{self._footprints()}")
        return "\n\n".join(parts) + "\n"

    def json(self) -> dict[str, Any]:
        """Everything, with the time of each round."""
        return {
            "run": self._heading,
            "band_floors": BAND_FLOORS,
            "systems": {
                system.key: {"name": system.name, "version": system.version, **asdict(system.footprint())}
                for system in self._systems
            },
            "contests": [
                {
                    "level": contest.level.name,
                    "batch": contest.batch,
                    "systems": {
                        system.key: None if entrant is None else self._entrant_json(entrant)
                        for system, entrant in contest.entrants
                    },
                    "best_peer": self._best_peer_json(contest),
                }
                for contest in self._contests
            ],
            "default": [{"batch": entrant.batch, **self._entrant_json(entrant)} for entrant in self._default],
        }

    def _entrant_json(self, entrant: Entrant) -> dict[str, Any]:
        times = self._times[entrant]
        return {
            "setting": entrant.setting.label,
            "threads": entrant.threads,
            "cpu_ms": median(times.cpu_ms),
            "wall_ms": median(times.wall_ms),
            "rounds": {"cpu_ms": times.cpu_ms, "wall_ms": times.wall_ms},
            **asdict(self._quality[entrant]),
        }

    def _best_peer_json(self, contest: Contest) -> dict[str, Any] | None:
        best = self._best_peer(contest)
        mien = self._mien(contest)
        if best is None or mien is None:
            return None
        middle, low, high = ratio(self._costs(best), self._costs(mien))
        return {"system": best.system.key, "ratio": middle, "quartiles": [low, high]}

    def _contest_table(self, contest: Contest) -> str:
        mien = self._mien(contest)
        lines = [["system", "setting", "threads", "CPU ms", "wall ms", "x Mien", "mate@1", self._recall_name, ""]]
        for system, entrant in contest.entrants:
            if entrant is None:
                lines.append([system.name, "does not reach it", "", "", "", "", "", "", ""])
                continue
            times, quality = self._times[entrant], self._quality[entrant]
            lines.append(
                [
                    system.name,
                    entrant.setting.label,
                    str(entrant.threads),
                    f"{median(times.cpu_ms):.3f}",
                    f"{median(times.wall_ms):.3f}",
                    f"{ratio(self._costs(entrant), self._costs(mien))[0]:.2f}" if mien else "",
                    f"{quality.mate:.4f}",
                    f"{quality.recall:.4f}",
                    "" if contest.level.is_reached(quality) else "below the level in the timed rounds",
                ]
            )
        return table(lines)

    def _summary(self) -> str:
        lines = [["level", "probes a call", "best peer", f"{self._time_name} ms", "Mien", "ratio", "quartiles"]]
        for contest in self._contests:
            best, mien = self._best_peer(contest), self._mien(contest)
            if best is None or mien is None:
                continue
            middle, low, high = ratio(self._costs(best), self._costs(mien))
            lines.append(
                [
                    contest.level.name,
                    str(contest.batch),
                    best.system.name,
                    f"{median(self._costs(best)):.3f}",
                    f"{median(self._costs(mien)):.3f}",
                    f"{middle:.2f}",
                    f"{low:.2f}-{high:.2f}",
                ]
            )
        return table(lines)

    def _default_table(self) -> str:
        levels = [contest.level.name for contest in self._contests if contest.batch == self._contests[0].batch]
        lines = [["setting", "probes a call", f"{self._time_name} ms", "mate@1", self._recall_name]]
        lines[0] += [f"best peer's time at {level} by it" for level in levels]
        for entrant in self._default:
            quality = self._quality[entrant]
            line = [entrant.setting.label, str(entrant.batch), f"{median(self._costs(entrant)):.3f}"]
            line += [f"{quality.mate:.4f}", f"{quality.recall:.4f}"]
            for contest in self._contests:
                if contest.batch != entrant.batch:
                    continue
                best = self._best_peer(contest)
                if best is None:
                    line.append("")
                    continue
                middle, low, high = ratio(self._costs(best), self._costs(entrant))
                line.append(f"{middle:.2f} ({low:.2f}-{high:.2f})")
            lines.append(line)
        return table(lines)

    def _bands(self) -> str:
        counts = next(iter(self._quality.values())).mates
        # The lowest bands may be empty in a small gallery.
        shown = [band for band, count in enumerate(counts) if count > 0]
        lines = [["system", "setting", "probes a call", *(f"{band_name(band)} ({counts[band]})" for band in shown)]]
        # One line where single probes and photos were answered alike.
        batches: dict[tuple[int, str, tuple[str, ...]], list[int]] = {}
        for entrant, quality in self._quality.items():
            shares = tuple(f"{quality.found[band] / quality.mates[band]:.3f}" for band in shown)
            place = self._systems.index(entrant.system)
            batches.setdefault((place, entrant.setting.label, shares), []).append(entrant.batch)
        for (place, setting, shares), sizes in sorted(batches.items(), key=lambda item: item[0][0]):
            lines.append([self._systems[place].name, setting, ", ".join(map(str, sorted(sizes))), *shares])
        return table(lines)

    def _footprints(self) -> str:
        lines = [
            ["system", "build CPU s", "faces a CPU s", "build wall s", "faces/s", "restart s", "disk MB"]
            + ["resident MB", "version"]
        ]
        for system in self._systems:
            footprint = system.footprint()
            cpu, wall = footprint.build_cpu_s, footprint.build_wall_s
            lines.append(
                [
                    system.name,
                    _number(cpu),
                    _number(self._face_count / cpu if cpu else None),
                    _number(wall),
                    _number(self._face_count / wall if wall else None),
                    "" if footprint.restart_s is None else f"{footprint.restart_s:.3f}",
                    _number(footprint.disk_bytes / 1e6),
                    _number(footprint.resident_bytes / 1e6 if footprint.resident_bytes is not None else None),
                    system.version,
                ]
            )
        return table(lines)

    @staticmethod
    def _mien(contest: Contest) -> Entrant | None:
        return next((entrant for system, entrant in contest.entrants if system.key == "mien"), None)

    @property
    def _time_name(self) -> str:
        return "wall" if self._by_wall else "CPU"

    def _costs(self, entrant: Entrant) -> list[float]:
        times = self._times[entrant]
        return times.wall_ms if self._by_wall else times.cpu_ms

    def _best_peer(self, contest: Contest) -> Entrant | None:
        peers = [entrant for system, entrant in contest.entrants if entrant is not None and system.key != "mien"]
        return min(peers, key=lambda entrant: median(self._costs(entrant)), default=None)


def band_name(band: int) -> str:
    """The similarities of a band."""
    floor = BAND_FLOORS[band]
    if band + 1 == len(BAND_FLOORS):
        return f"{floor:.2f} up"
    ceiling = BAND_FLOORS[band + 1]
    return f"below {ceiling:.2f}" if band == 0 else f"{floor:.2f}-{ceiling:.2f}"


def _batch_name(batch: int) -> str:
    return "single probes" if batch == 1 else f"photos of {batch}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if value >= 10 else f"{value:.1f}"
