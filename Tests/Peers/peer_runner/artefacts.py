"""Peer indexes on disk, each built once by a process of its own and then only read.

A build gets all processors and gives its memory back when it ends. Run as `python -m peer_runner.artefacts NAME GALLERY
WORK`, this module is that process.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from peer_runner.failure import Failure
from peer_runner.gallery import Gallery
from peer_runner.restart import Opening
from peer_runner.system import Footprint

Build = Callable[[Gallery, Path, Path], None]
"""Builds from the gallery into the path given first; other artefacts are found in the folder given second."""


@dataclass(frozen=True)
class Artefact:
    """A file or folder in the work folder.

    Attributes:
        name: its name there.
        module: the module whose function `build_…` makes it.
        recipe: everything that decides its content; another recipe builds anew.
        serves: whether searches read it, and not just other builds.
    """

    name: str
    module: str
    function: str
    recipe: str
    serves: bool = True

    def ensure(self, gallery: Gallery, work: Path) -> None:
        """Builds it unless it is there."""
        if self.record(work).get("recipe") == self.recipe and (work / self.name).exists():
            return
        print(f"building {self.name}", file=sys.stderr)
        command = [sys.executable, "-B", "-m", "peer_runner.artefacts"]
        arguments = [self.name, self.module, self.function, self.recipe, str(gallery.folder), str(work)]
        processors = str(os.cpu_count() or 1)
        threads = {"OMP_NUM_THREADS": processors, "OPENBLAS_NUM_THREADS": processors}
        # A thread that waits is not to spin: on a shared machine that takes longer than the work.
        threads["OMP_WAIT_POLICY"] = "PASSIVE"
        result = subprocess.run(
            command + arguments, env=os.environ | threads, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, check=False,
        )  # fmt: skip
        if result.returncode != 0:
            lines = result.stderr.strip().splitlines()
            reason = lines[-1] if lines else f"its process ended with {result.returncode}"
            raise Failure(f"{self.name} cannot be built: {reason}")

    def record(self, work: Path) -> dict[str, str | float]:
        """What is known of the last build; empty when there was none."""
        file = work / f"{self.name}.json"
        if not file.exists():
            return {}
        record: dict[str, str | float] = json.loads(file.read_text())
        return record

    def disk_bytes(self, work: Path) -> int:
        """Bytes of the file, or of all files of the folder."""
        path = work / self.name
        return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def served(parts: list[Artefact], work: Path) -> list[Path]:
    """Where the parts lie that searches read."""
    return [work / part.name for part in parts if part.serves]


def footprint(parts: list[Artefact], work: Path, opening: Opening) -> Footprint:
    """What a peer took to build from these parts, and takes to keep."""
    records = [part.record(work) for part in parts]
    return Footprint(
        build_cpu_s=sum(float(record["cpu_s"]) for record in records),
        build_wall_s=sum(float(record["wall_s"]) for record in records),
        disk_bytes=sum(part.disk_bytes(work) for part in parts if part.serves),
        resident_bytes=opening.resident_bytes,
        restart_s=opening.seconds,
    )


def _build(name: str, module: str, function: str, recipe: str, gallery_folder: str, work_folder: str) -> None:
    gallery, work = Gallery(Path(gallery_folder)), Path(work_folder)
    build: Build = getattr(importlib.import_module(module), function)
    unfinished = work / f"{name}.unfinished"
    for stale in (unfinished, work / name):
        if stale.is_dir():
            shutil.rmtree(stale)
        else:
            stale.unlink(missing_ok=True)
    cpu, wall = time.process_time(), time.perf_counter()
    build(gallery, unfinished, work)
    record = {"recipe": recipe, "cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    unfinished.rename(work / name)
    (work / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    _build(*sys.argv[1:])
