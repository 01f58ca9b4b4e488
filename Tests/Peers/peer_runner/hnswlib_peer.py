"""hnswlib: a graph over float32 embeddings. Its build is by far the slowest."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path

import hnswlib
import numpy as np

from peer_runner.artefacts import Artefact, footprint, served
from peer_runner.gallery import Gallery, Matrix, Rows
from peer_runner.restart import open_warm
from peer_runner.system import LibraryPeer, Setting, Sweep, steps

VERSION = importlib.metadata.version("hnswlib")
LINKS, BUILD_EFFORT = 16, 128


def build(gallery: Gallery, path: Path, work: Path) -> None:
    """Adds every face with all processors."""
    index = hnswlib.Index(space="ip", dim=gallery.dimension)
    index.init_index(max_elements=len(gallery.faces), M=LINKS, ef_construction=BUILD_EFFORT, random_seed=1)
    for first in range(0, len(gallery.faces), 65_536):
        rows = gallery.rows(first, 65_536)
        index.add_items(rows, np.arange(first, first + len(rows)), num_threads=os.cpu_count() or 1)
    index.save_index(str(path))


class HnswlibPeer(LibraryPeer):
    """The graph; a photo is divided among the threads, a probe is one thread's."""

    key = "hnswlib"

    def __init__(self, gallery: Gallery, work: Path, match_limit: int) -> None:
        super().__init__(gallery.probes, match_limit)
        self.name = f"hnswlib M{LINKS} efC{BUILD_EFFORT}"
        self.version = f"hnswlib {VERSION}"
        recipe = f"{gallery.fingerprint} {VERSION} {LINKS} {BUILD_EFFORT}"
        part = Artefact("hnswlib.index", "peer_runner.hnswlib_peer", "build", recipe)
        part.ensure(gallery, work)
        self._threads = 1

        def load() -> None:
            self._index = hnswlib.Index(space="ip", dim=gallery.dimension)
            self._index.load_index(str(work / "hnswlib.index"))

        self._footprint = footprint([part], work, open_warm(served([part], work), load, self.answer_one))

    def use_threads(self, count: int) -> None:
        """For the probes of a photo."""
        self._threads = count

    def sweeps(self) -> list[Sweep]:
        return [[[Setting(f"ef {effort}", (effort,)) for effort in steps(self._match_limit, 4096)]]]

    def single_call(self, setting: Setting) -> Callable[[Matrix], object]:
        self._index.set_ef(setting.values[0])
        limit, threads, search = self._match_limit, self._threads, self._index.knn_query
        return lambda probes: search(probes, k=limit, num_threads=threads)

    def rows_of(self, answer: object) -> Rows:
        assert isinstance(answer, tuple)
        return np.asarray(answer[0]).astype(np.int64)
