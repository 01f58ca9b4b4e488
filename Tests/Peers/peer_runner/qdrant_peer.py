"""Qdrant's engine in this process: a graph, searched by int8 codes and rescored, or by float32."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from peer_runner.artefacts import Artefact, footprint, served
from peer_runner.gallery import Gallery, Matrix, Rows
from peer_runner.restart import open_warm
from peer_runner.system import LibraryPeer, Setting, Sweep, steps

# Any: its stubs name no types of arguments that are enumerations.
qdrant: Any = importlib.import_module("qdrant_edge")

VERSION = importlib.metadata.version("qdrant-edge-py")
LINKS, BUILD_EFFORT = 16, 128
QUANTILE = 0.99
"""Share of the components that int8 codes resolve; what is beyond is clipped. Qdrant's documentation advises it."""
BATCH_ROWS = 1000
MAXIMUM_EFFORT = 4096


def configuration(dimension: int) -> Any:
    """One segment, whose graph one thread searches; everything that searches read stays in memory."""
    return qdrant.EdgeConfig(
        vectors={
            "": qdrant.EdgeVectorParams(
                size=dimension,
                distance=qdrant.Distance.Dot,
                memory=qdrant.Memory.Cached,
                quantization_config=qdrant.ScalarQuantizationConfig(
                    qdrant.ScalarType.Int8, quantile=QUANTILE, memory=qdrant.Memory.Pinned
                ),
            )
        },
        hnsw_config=qdrant.HnswIndexConfig(
            m=LINKS,
            ef_construct=BUILD_EFFORT,
            # In KB: everything above gets a graph, and no search takes the exact way round it.
            full_scan_threshold=1,
            max_indexing_threads=os.cpu_count() or 1,
            memory=qdrant.Memory.Pinned,
        ),
        optimizers=qdrant.EdgeOptimizersConfig(
            default_segment_number=1, max_segment_size=1_000_000_000, indexing_threshold=1
        ),
        max_search_threads=1,
        wal_enabled=False,
    )


def build(gallery: Gallery, path: Path, work: Path) -> None:
    """Inserts every face, then has the graph and the codes made with all processors."""
    shard = qdrant.EdgeShard.create(str(path), configuration(gallery.dimension))
    for first in range(0, len(gallery.faces), BATCH_ROWS):
        rows = gallery.rows(first, BATCH_ROWS).tolist()
        points = [qdrant.Point(row, vector) for row, vector in enumerate(rows, first)]
        shard.update(qdrant.UpdateOperation.upsert_points(points))
    while shard.optimize():
        pass
    shard.flush()
    about = shard.info()
    shard.close()
    if about.indexed_vectors_count < len(gallery.faces):
        raise RuntimeError(f"{about.indexed_vectors_count} of {len(gallery.faces)} faces are in the graph")


class QdrantPeer(LibraryPeer):
    """The graph of one segment. The engine divides a search by segments, so that it is always one thread's."""

    key = "qdrant"
    uses_threads = False

    def __init__(self, gallery: Gallery, work: Path, match_limit: int) -> None:
        super().__init__(gallery.probes, match_limit)
        self.name = f"Qdrant M{LINKS} efC{BUILD_EFFORT}, int8"
        self.version = f"qdrant-edge {VERSION}"
        recipe = f"{gallery.fingerprint} {VERSION} {LINKS} {BUILD_EFFORT} {QUANTILE}"
        part = Artefact("qdrant", "peer_runner.qdrant_peer", "build", recipe)
        part.ensure(gallery, work)
        self._shard: Any = None

        def load() -> None:
            if self._shard is not None:
                self._shard.close()
            self._shard = qdrant.EdgeShard.load(str(work / "qdrant"), configuration(gallery.dimension))

        self._footprint = footprint([part], work, open_warm(served([part], work), load, self.answer_one))

    def sweeps(self) -> list[Sweep]:
        limit = self._match_limit
        efforts = steps(limit, MAXIMUM_EFFORT)
        return [
            [
                [
                    Setting(f"ef {effort}, int8, rescored {depth}", (effort, depth))
                    for depth in steps(limit, limit * 256, 2)
                    if depth <= effort
                ]
                for effort in efforts
            ],
            [[Setting(f"ef {effort}, float32", (effort, 0)) for effort in efforts]],
        ]

    def prepared(self, probes: Matrix, setting: Setting, batch: int) -> object:
        """Requests are made before the clock starts: as lists of Python's numbers, which takes 20 us a probe."""
        effort, depth = setting.values
        limit = self._match_limit
        quantization = (
            qdrant.QuantizationSearchParams(rescore=True, oversampling=depth / limit)
            if depth
            else qdrant.QuantizationSearchParams(ignore=True)
        )
        parameters = qdrant.SearchParams(hnsw_ef=effort, quantization=quantization)
        queries = [qdrant.Query.Nearest(probe) for probe in probes.tolist()]
        if batch == 1:
            return qdrant.SearchRequest(queries[0], limit, params=parameters)
        return qdrant.QueryBatchRequest(
            [qdrant.QueryRequest(limit, query=query, params=parameters) for query in queries]
        )

    def single_call(self, setting: Setting) -> Callable[[Any], object]:
        search: Callable[[Any], object] = self._shard.search
        return search

    def photo_call(self, setting: Setting) -> Callable[[Any], object]:
        search: Callable[[Any], object] = self._shard.query_batch
        return search

    def rows_of(self, answer: object) -> Rows:
        assert isinstance(answer, list)
        probes = answer if answer and isinstance(answer[0], list) else [answer]
        rows = np.full((len(probes), self._match_limit), -1, dtype=np.int64)
        for found, points in zip(rows, probes, strict=True):
            found[: len(points)] = [point.id for point in points]
        return rows

    def close(self) -> None:
        """Gives the folder back."""
        self._shard.close()
