"""A generated gallery: the files every system is given."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peer_runner.failure import Failure

Rows = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]


class Gallery:
    """Faces, probes and whose they are; embeddings are of unit length.

    Attributes:
        faces: `[count × dimension]`, mapped from the file.
        probes: `[probe count × dimension]`.
        person_of_face: a number for each face's person.
        person_of_probe: the same numbers; -1 for a probe whose person is not enrolled.
        fingerprint: changes with the gallery; what was built from another one is not used.
    """

    def __init__(self, folder: Path, probe_limit: int | None = None) -> None:
        self.folder = folder
        self.faces = _matrix(folder / "embeddings.npy", mapped=True)
        probes = _matrix(folder / "probes.npy", mapped=False).astype(np.float32)
        self.dimension = int(self.faces.shape[1])
        if probes.shape[1] != self.dimension:
            raise Failure(f"probes.npy has dimension {probes.shape[1]}, embeddings.npy {self.dimension}")
        persons = _text(folder / "persons.txt").splitlines()
        if len(persons) != len(self.faces):
            raise Failure(
                f"{len(self.faces)} embeddings but {len(persons)} persons; generate the gallery without hostile rows"
            )
        self.probes = np.ascontiguousarray(probes[:probe_limit])
        _require_unit_length(self.probes, "probes.npy")
        _require_unit_length(np.asarray(self.faces[:1000], dtype=np.float32), "embeddings.npy")
        number_of_person: dict[str, int] = {}
        self.person_of_face = np.array([number_of_person.setdefault(p, len(number_of_person)) for p in persons])
        self.person_of_probe = np.full(len(self.probes), -1)
        for number, line in enumerate(_text(folder / "probe-truth.jsonl").splitlines()):
            try:
                truth = json.loads(line)
                probe, person = int(truth["probe"]), truth["person"] if truth["mated"] else None
            except (ValueError, KeyError, TypeError) as error:
                raise Failure(f"probe-truth.jsonl line {number + 1} does not tell a probe's truth") from error
            if probe < len(self.probes) and person is not None:
                self.person_of_probe[probe] = number_of_person.get(person, -1)
        about = (folder / "embeddings.npy").stat()
        description = f"{_text(folder / 'gallery.json')} {about.st_size} {self.faces[-1].tobytes().hex()}"
        self.fingerprint = hashlib.sha256(description.encode()).hexdigest()[:16]

    def rows(self, first: int, count: int) -> Matrix:
        """Some rows as float32 in memory."""
        return np.ascontiguousarray(self.faces[first : first + count], dtype=np.float32)

    def sample(self, count: int) -> Matrix:
        """Rows drawn evenly, the same at every call."""
        chosen = np.random.default_rng(1).choice(len(self.faces), min(count, len(self.faces)), replace=False)
        return np.ascontiguousarray(self.faces[np.sort(chosen)], dtype=np.float32)


def _matrix(path: Path, *, mapped: bool) -> npt.NDArray[np.floating]:
    try:
        matrix: npt.NDArray[np.floating] = np.load(path, mmap_mode="r" if mapped else None)
    except (OSError, ValueError) as error:
        raise Failure(f"{path} cannot be read: {error}") from error
    if matrix.ndim != 2 or matrix.dtype not in (np.float32, np.float16) or 0 in matrix.shape:
        raise Failure(f"{path} is no matrix of float32 or float16: {matrix.shape} {matrix.dtype}")
    return matrix


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise Failure(f"{path} cannot be read; make the gallery with 'mien generate'") from error


def _require_unit_length(rows: Matrix, name: str) -> None:
    lengths = np.linalg.norm(rows, axis=1)
    # float16 embeddings are rounded to eleven bits.
    if not np.all(np.abs(lengths - 1) < 2e-3):
        raise Failure(f"{name} holds embeddings that are not of unit length")
