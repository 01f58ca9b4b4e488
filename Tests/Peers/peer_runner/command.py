"""Options of `compare`. Standard library only: read once before the virtual environment exists."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from peer_runner.failure import Failure

REPOSITORY = Path(__file__).resolve().parents[3]
SYSTEMS = [
    "mien",
    "faiss-ivf-pq",
    "faiss-flat-pq",
    "faiss-ivf-pca-pq",
    "faiss-flat-pca-pq",
    "faiss-ivf-sq8",
    "faiss-ivf-rabitq",
    "scann",
    "hnswlib",
    "qdrant",
]


@dataclass(frozen=True)
class Options:
    """What one run is to do."""

    gallery: Path
    work: Path
    environment: Path
    mien: Path
    partition: Path
    systems: list[str]
    probes: int | None
    photo: int
    match_limit: int
    rounds: int | None
    threads: int
    choose_again: bool
    build_only: bool
    json: Path | None


def parse(arguments: list[str]) -> Options:
    """Reads the arguments; ends the process with usage when they are wrong."""
    parser = argparse.ArgumentParser(
        prog="compare",
        description="Measure Mien's index beside Faiss, ScaNN, hnswlib and Qdrant: same files and recall, in turn.",
    )
    parser.add_argument("gallery", type=Path, help="folder made by 'mien generate'")
    parser.add_argument("--work", type=Path, help="folder for indexes and truth (default: GALLERY/peers)")
    parser.add_argument("--environment", type=Path, help="virtual environment (default: WORK/environment)")
    parser.add_argument("--mien", type=Path, default=REPOSITORY / ".build/release/mien", help="the mien binary")
    parser.add_argument("--partition", type=Path, help="Mien's partition (default: WORK/mien, made when absent)")
    parser.add_argument("--systems", help=f"comma-separated, of: {', '.join(SYSTEMS)} (default: all)")
    parser.add_argument("--without", default="", help="comma-separated systems to leave out")
    parser.add_argument("--probes", type=int, help="probes used (default: all, cut to whole photos)")
    parser.add_argument("--photo", type=int, default=100, help="probes of a photo (default: 100)")
    parser.add_argument("-k", type=int, default=10, dest="match_limit", help="matches a probe (default: 10)")
    parser.add_argument("--rounds", type=int, help="timed rounds (default: one a photo, at least 15)")
    parser.add_argument("--threads", type=int, default=1, help="threads of one search; above 1 wall time counts")
    parser.add_argument("--choose-again", action="store_true", help="search the settings again, not those of last time")
    parser.add_argument("--build-only", action="store_true", help="build what is missing and end")
    parser.add_argument("--json", type=Path, help="write every figure to this file too")
    values = parser.parse_args(arguments)

    systems = _names(parser, values.systems) if values.systems else SYSTEMS
    left_out = _names(parser, values.without)
    systems = [name for name in systems if name not in left_out]
    if not systems:
        parser.error("no system is left to measure")
    counts = [values.photo, values.match_limit, values.rounds, values.probes, values.threads]
    if any(count is not None and count < 1 for count in counts):
        parser.error("--photo, --probes, --rounds, --threads and -k must be at least 1")
    work = (values.work or values.gallery / "peers").resolve()
    options = Options(
        gallery=values.gallery.resolve(),
        work=work,
        environment=(values.environment or work / "environment").resolve(),
        mien=values.mien.resolve(),
        partition=(values.partition or work / "mien").resolve(),
        systems=systems,
        probes=values.probes,
        photo=values.photo,
        match_limit=values.match_limit,
        rounds=values.rounds,
        threads=values.threads,
        choose_again=values.choose_again,
        build_only=values.build_only,
        json=values.json.resolve() if values.json else None,
    )
    if not (options.gallery / "embeddings.npy").is_file():
        raise Failure(f"{options.gallery} holds no embeddings.npy; make the gallery with 'mien generate'")
    for folder in (options.work, options.environment, options.partition):
        if folder.is_relative_to(REPOSITORY) and ".build" not in folder.relative_to(REPOSITORY).parts[:1]:
            raise Failure(f"{folder} is inside the repository; choose another with --work, --environment, --partition")
    return options


def _names(parser: argparse.ArgumentParser, text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in SYSTEMS:
            parser.error(f"'{name}' is none of {', '.join(SYSTEMS)}")
    return names
