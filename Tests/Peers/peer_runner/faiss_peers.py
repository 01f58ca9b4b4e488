"""Faiss: lists or none, small codes with a float16 copy to rerank from, or 8-bit codes."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from peer_runner.artefacts import Artefact, footprint
from peer_runner.gallery import Gallery, Matrix, Rows
from peer_runner.restart import open_warm
from peer_runner.system import Family, LibraryPeer, Setting, Sweep, steps

# Any: its wrapped classes are not described to type checkers.
faiss: Any = importlib.import_module("faiss")

BLAS = os.environ.get("OPENBLAS_CORETYPE", "OpenBLAS as detected")
VERSION = f"{importlib.metadata.version('faiss-cpu')} ({BLAS})"
MODULE = "peer_runner.faiss_peers"
BLOCK_ROWS = 65_536
TRAINING_ROWS = 65_536
SAMPLES_A_LIST = 50


@dataclass(frozen=True)
class Kind:
    """One way to put an index together, in the words of Faiss's index factory.

    Attributes:
        projection: what embeddings go through before they are coded; empty for nothing.
        code: what is stored.
        has_lists: whether the codes lie in inverted lists.
        is_reranked: whether candidates are compared again from the float16 copy.
    """

    code: str
    has_lists: bool
    is_reranked: bool = True
    projection: str = ""

    def factory(self, lists: int) -> str:
        """The description of the codes' index."""
        parts = [self.projection, f"IVF{lists}" if self.has_lists else "", self.code]
        return ",".join(part for part in parts if part)


KINDS = {
    "faiss-ivf-pq": Kind("PQ128x4fs", has_lists=True),
    "faiss-flat-pq": Kind("PQ128x4fs", has_lists=False),
    "faiss-ivf-pca-pq": Kind("PQ128x4fs", has_lists=True, projection="PCAR256"),
    "faiss-flat-pca-pq": Kind("PQ128x4fs", has_lists=False, projection="PCAR256"),
    "faiss-ivf-sq8": Kind("SQ8", has_lists=True, is_reranked=False),
    "faiss-ivf-rabitq": Kind("RaBitQfs", has_lists=True),
}
"""By system."""


def list_count(face_count: int) -> int:
    """Inverted lists by the size of the gallery: about 4 · √n."""
    if face_count >= 5_000_000:
        return 16384
    if face_count >= 500_000:
        return 4096
    return 1024 if face_count >= 50_000 else 128


def build_centroids(gallery: Gallery, path: Path, work: Path) -> None:
    """Spherical k-means, shared by all indexes with lists."""
    lists = list_count(len(gallery.faces))
    kmeans = faiss.Kmeans(gallery.dimension, lists, niter=20, spherical=True, seed=1)
    kmeans.train(gallery.sample(SAMPLES_A_LIST * lists))
    with path.open("wb") as file:
        np.save(file, kmeans.centroids)


def build_float16(gallery: Gallery, path: Path, work: Path) -> None:
    """The copy that candidates are reranked from."""
    index = faiss.IndexScalarQuantizer(gallery.dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    _fill(index, gallery)
    faiss.write_index(index, str(path))


def build_codes(gallery: Gallery, path: Path, work: Path) -> None:
    """The codes of the system that the file is named after."""
    kind = KINDS[path.name.removesuffix(".unfinished").removesuffix(".index")]
    lists = list_count(len(gallery.faces))
    index = faiss.index_factory(gallery.dimension, kind.factory(lists), faiss.METRIC_INNER_PRODUCT)
    sample = gallery.sample(TRAINING_ROWS)
    projection = None
    if kind.projection:
        projection = faiss.downcast_VectorTransform(index.chain.at(0))
        projection.train(sample)
    if kind.has_lists:
        centroids = np.load(work / "centroids.npy")
        # With its centroids there the coarse quantizer counts as trained. A mean's projection is its members' mean.
        quantizer = faiss.downcast_index(faiss.extract_index_ivf(index).quantizer)
        quantizer.add(projection.apply(centroids) if projection else centroids)
    index.train(sample)
    if kind.code.startswith("RaBitQ"):
        index.qb = 8
    _fill(index, gallery)
    faiss.write_index(index, str(path))


def _fill(index: Any, gallery: Gallery) -> None:
    if not index.is_trained:
        index.train(gallery.sample(TRAINING_ROWS))
    for first in range(0, len(gallery.faces), BLOCK_ROWS):
        index.add(gallery.rows(first, BLOCK_ROWS))


def call_microseconds(dimension: int) -> float:
    """What a search costs that finds nothing to do: the call through Python and back, in a gallery of one face."""
    face = np.eye(1, dimension, dtype=np.float32)
    index = faiss.IndexRefineFlat(faiss.IndexFlatIP(dimension))
    index.add(face)
    parameters = faiss.IndexRefineSearchParameters(k_factor=1.0)
    costs = []
    for _ in range(5):
        start = time.process_time_ns()
        for _ in range(500):
            index.search(face, 10, params=parameters)
        costs.append((time.process_time_ns() - start) / 500e3)
    return min(costs)


class Float16Copy:
    """The rerank copy, read once and shared by the systems of a run."""

    _read: Float16Copy | None = None

    def __init__(self, path: Path) -> None:
        self.path = path
        self.index: Any = None
        self.opening = open_warm([path], self._load, lambda: None)

    def _load(self) -> None:
        self.index = faiss.read_index(str(self.path))

    @classmethod
    def of(cls, path: Path) -> Float16Copy:
        """The copy in this file."""
        if cls._read is None or cls._read.path != path:
            cls._read = cls(path)
        return cls._read


class FaissPeer(LibraryPeer):
    """One of `KINDS`."""

    def __init__(self, key: str, gallery: Gallery, work: Path, match_limit: int) -> None:
        super().__init__(gallery.probes, match_limit)
        self.use_threads(1)
        kind = KINDS[key]
        has_lists, is_reranked = kind.has_lists, kind.is_reranked
        lists = list_count(len(gallery.faces))
        self.key = key
        self.name = f"Faiss {kind.factory(lists)}" + (" + fp16" if is_reranked else "")
        self.version = f"faiss-cpu {VERSION}"
        self._lists = lists if has_lists else 0
        self._kind = kind
        self._face_count = len(gallery.faces)

        recipe = f"{gallery.fingerprint} {self.version}"
        parts = [Artefact(f"{key}.index", MODULE, "build_codes", f"{recipe} {kind.factory(lists)}")]
        if has_lists:
            parts.insert(0, Artefact("centroids.npy", MODULE, "build_centroids", f"{recipe} {lists}", serves=False))
        if is_reranked:
            parts.append(Artefact("float16.index", MODULE, "build_float16", recipe))
        for part in parts:
            part.ensure(gallery, work)

        copy = Float16Copy.of(work / "float16.index") if is_reranked else None
        file = work / f"{key}.index"

        def load() -> None:
            self._codes = faiss.read_index(str(file))
            self._index = faiss.IndexRefine(self._codes, copy.index) if copy else self._codes

        opening = open_warm([file], load, self.answer_one)
        self._footprint = footprint(parts, work, opening + copy.opening if copy else opening)

    def use_threads(self, count: int) -> None:
        """Of OpenMP, which its BLAS follows: the same for every index of Faiss."""
        faiss.omp_set_num_threads(count)

    def sweeps(self) -> list[Sweep]:
        limit = self._match_limit
        depths = [depth for depth in steps(limit, limit * 256, 2) if depth <= self._face_count]
        if not self._kind.is_reranked:
            return [[[self._lists_setting(count) for count in steps(4, self._lists)]]]
        if not self._lists:
            return [[[Setting(f"rerank {depth}", (0, depth)) for depth in depths]]]
        sweep: Sweep = []
        for count in steps(4, self._lists):
            family: Family = [Setting(f"nprobe {count}, rerank {depth}", (count, depth)) for depth in depths]
            sweep.append(family)
        return [sweep]

    @staticmethod
    def _lists_setting(count: int) -> Setting:
        return Setting(f"nprobe {count}", (count, 0))

    def single_call(self, setting: Setting) -> Callable[[Matrix], object]:
        lists, depth = setting.values
        limit, search = self._match_limit, self._index.search
        parameters = faiss.SearchParametersIVF(nprobe=lists) if lists else None
        if parameters and self._kind.projection:
            parameters = faiss.SearchParametersPreTransform(index_params=parameters)
        if depth:
            parameters = faiss.IndexRefineSearchParameters(k_factor=depth / limit, base_index_params=parameters)
        return lambda probes: search(probes, limit, params=parameters)

    def rows_of(self, answer: object) -> Rows:
        assert isinstance(answer, tuple)
        return np.asarray(answer[1], dtype=np.int64)
