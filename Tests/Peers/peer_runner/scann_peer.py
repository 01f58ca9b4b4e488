"""ScaNN: a tree of leaves, 4-bit codes trained for inner products, a float32 copy to rerank from."""

from __future__ import annotations

import importlib.metadata
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scann

from peer_runner.artefacts import Artefact, footprint, served
from peer_runner.gallery import Gallery, Matrix, Rows
from peer_runner.restart import open_warm
from peer_runner.system import LibraryPeer, Setting, Sweep, steps

VERSION = importlib.metadata.version("scann")


def leaf_count(face_count: int) -> int:
    """√n, as ScaNN's documentation advises."""
    return max(16, math.isqrt(face_count))


def build(gallery: Gallery, path: Path, work: Path) -> None:
    """Builds with every default but the number of leaves, for inner products."""
    leaves = leaf_count(len(gallery.faces))
    searcher = (
        scann.scann_ops_pybind.builder(gallery.rows(0, len(gallery.faces)), 10, "dot_product")
        .set_n_training_threads(os.cpu_count() or 1)
        .tree(leaves, max(1, leaves // 10), training_sample_size=min(len(gallery.faces), 250 * leaves))
        .score_ah(2, anisotropic_quantization_threshold=0.2)
        .reorder(100)
        .build()
    )
    path.mkdir()
    searcher.serialize(str(path), relative_path=True)


class ScannPeer(LibraryPeer):
    """ScaNN; its batched search divides work only when asked to, by as many threads as there are processors."""

    key = "scann"

    def __init__(self, gallery: Gallery, work: Path, match_limit: int) -> None:
        super().__init__(gallery.probes, match_limit)
        self._leaves = leaf_count(len(gallery.faces))
        self._face_count = len(gallery.faces)
        self._is_divided = False
        self.name = f"ScaNN {self._leaves} leaves, AH2 + fp32"
        self.version = f"scann {VERSION}"
        part = Artefact("scann", "peer_runner.scann_peer", "build", f"{gallery.fingerprint} {VERSION} {self._leaves}")
        part.ensure(gallery, work)

        def load() -> None:
            self._searcher = scann.scann_ops_pybind.load_searcher(str(work / "scann"))

        self._footprint = footprint([part], work, open_warm(served([part], work), load, self.answer_one))

    def use_threads(self, count: int) -> None:
        """Divides a photo among as many threads as there are processors, or not."""
        self._is_divided = count > 1

    def sweeps(self) -> list[Sweep]:
        limit = self._match_limit
        depths = [depth for depth in steps(limit, limit * 256, 2) if depth <= self._face_count]
        return [
            [
                [Setting(f"leaves {leaves}, rerank {depth}", (leaves, depth)) for depth in depths]
                for leaves in steps(4, self._leaves)
            ]
        ]

    def single_call(self, setting: Setting) -> Callable[[Matrix], object]:
        leaves, depth = setting.values
        limit, search = self._match_limit, self._searcher.search
        return lambda probes: search(
            probes[0], final_num_neighbors=limit, pre_reorder_num_neighbors=depth, leaves_to_search=leaves
        )

    def photo_call(self, setting: Setting) -> Callable[[Matrix], object]:
        leaves, depth = setting.values
        limit = self._match_limit
        search = self._searcher.search_batched_parallel if self._is_divided else self._searcher.search_batched
        return lambda probes: search(
            probes, final_num_neighbors=limit, pre_reorder_num_neighbors=depth, leaves_to_search=leaves
        )

    def rows_of(self, answer: object) -> Rows:
        assert isinstance(answer, tuple)
        return np.asarray(answer[0]).astype(np.int64)
