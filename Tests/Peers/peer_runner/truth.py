"""What exact search answers, and how far another answer agrees with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peer_runner.gallery import Gallery, Matrix, Rows

BAND_FLOORS = [-1.0, 0.30, 0.35, 0.40, 0.45, 0.50, 0.60, 0.70]
"""Least similarity of each band of mates."""

TIE = 1e-6
"""Faces this close in similarity count as equally good: copies of one embedding are in every gallery."""


@dataclass(frozen=True)
class Quality:
    """How good some answers are.

    Attributes:
        count: probes that were answered.
        recall: share of the exact top k that came back.
        mate: share of the mates that exact search ranks first and that came back first.
        found, mates: the same by similarity of the mate, as counts a band.
    """

    count: int
    recall: float
    mate: float
    found: list[int]
    mates: list[int]

    @staticmethod
    def of_all(parts: list[Quality]) -> Quality:
        """How good the answers to all probes were, from how good those to some and others were."""
        count = sum(part.count for part in parts)
        found = [sum(column) for column in zip(*(part.found for part in parts), strict=True)]
        mates = [sum(column) for column in zip(*(part.mates for part in parts), strict=True)]
        return Quality(
            count=count,
            recall=sum(part.recall * part.count for part in parts) / count,
            mate=sum(found) / max(1, sum(mates)),
            found=found,
            mates=mates,
        )


class Truth:
    """The exact nearest faces of every probe; `depth` of them, so that ties at rank k are known."""

    depth = 64
    block_rows = 16_384

    def __init__(self, gallery: Gallery, match_limit: int, rows: Rows, similarities: Matrix) -> None:
        self.match_limit = match_limit
        self.face_count = len(gallery.faces)
        self._person_of_face = gallery.person_of_face
        self._person_of_probe = gallery.person_of_probe
        self._rows = rows
        least = similarities[:, min(match_limit, rows.shape[1]) - 1]
        self._is_wanted = similarities >= least[:, None] - TIE
        # A mate that ties with a stranger is left out: which of them comes first says nothing.
        is_top = similarities >= similarities[:, :1] - TIE
        is_mate = gallery.person_of_face[rows] == gallery.person_of_probe[:, None]
        self.has_mate_first: npt.NDArray[np.bool_] = np.all(is_mate | ~is_top, axis=1)
        self._band = np.searchsorted(np.array(BAND_FLOORS), similarities[:, 0], side="right") - 1

    @classmethod
    def load(cls, gallery: Gallery, match_limit: int, file: Path) -> Truth:
        """Reads the exact answers from `file`, or computes and writes them."""
        if file.exists():
            with np.load(file) as saved:
                rows, similarities = saved["rows"], saved["similarities"]
            if len(rows) >= len(gallery.probes):
                count = len(gallery.probes)
                return cls(gallery, match_limit, rows[:count], similarities[:count])
        rows, similarities = exact_search(gallery, cls.depth, cls.block_rows)
        np.savez(file, rows=rows, similarities=similarities)
        return cls(gallery, match_limit, rows, similarities)

    def quality(self, answers: Rows, first: int = 0) -> Quality:
        """Judges the answers to the probes from `first`: `[count × match limit]`, -1 where there is none."""
        probes = slice(first, first + len(answers))
        is_found = (self._rows[probes, :, None] == answers[:, None, :]).any(axis=2) & self._is_wanted[probes]
        limit = min(self.match_limit, self._rows.shape[1])
        found = np.minimum(is_found.sum(axis=1), limit)
        top = answers[:, 0]
        is_mate = (top >= 0) & (self._person_of_face[top] == self._person_of_probe[probes])
        counted = self.has_mate_first[probes]
        bands = range(len(BAND_FLOORS))
        mates = [int(np.sum(counted & (self._band[probes] == band))) for band in bands]
        mates_found = [int(np.sum(counted & is_mate & (self._band[probes] == band))) for band in bands]
        return Quality(
            count=len(answers),
            recall=float(found.sum() / (limit * len(answers))),
            mate=sum(mates_found) / max(1, sum(mates)),
            found=mates_found,
            mates=mates,
        )


def exact_search(gallery: Gallery, depth: int, block_rows: int) -> tuple[Rows, Matrix]:
    """The `depth` most similar faces of every probe, best first, and their similarities."""
    probe_count = len(gallery.probes)
    rows = np.empty((probe_count, 0), dtype=np.int64)
    similarities = np.empty((probe_count, 0), dtype=np.float32)
    for first in range(0, len(gallery.faces), block_rows):
        block = gallery.probes @ gallery.rows(first, block_rows).T
        kept = min(depth, block.shape[1])
        best = np.argpartition(block, block.shape[1] - kept, axis=1)[:, block.shape[1] - kept :]
        rows = np.concatenate([rows, best + first], axis=1)
        similarities = np.concatenate([similarities, np.take_along_axis(block, best, axis=1)], axis=1)
        order = np.argsort(-similarities, axis=1, kind="stable")[:, :depth]
        rows = np.take_along_axis(rows, order, axis=1)
        similarities = np.take_along_axis(similarities, order, axis=1)
    return rows, similarities
