"""One run: build what is missing, choose settings, time them in turn, report."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
import time
from pathlib import Path

from peer_runner.choice import Trials, levels
from peer_runner.command import Options
from peer_runner.failure import Failure
from peer_runner.gallery import Gallery
from peer_runner.mien import DEFAULT_EFFORT, Mien
from peer_runner.report import Contest, Report
from peer_runner.rounds import Entrant, quickest_threads, run_rounds
from peer_runner.system import Setting, System
from peer_runner.truth import Truth

Choices = dict[str, dict[str, str | None]]
"""By level and batch, the label of the setting, by system."""


def run(options: Options) -> None:
    """Does what the options say and prints the report."""
    gallery = _gallery(options)
    options.work.mkdir(parents=True, exist_ok=True)
    systems: list[System] = []
    try:
        for key in options.systems:
            system = _system(key, options, gallery)
            if system is not None:
                systems.append(system)
        if options.build_only:
            return
        if not systems:
            raise Failure("no system is left to measure")
        report = _measure(options, gallery, systems)
        print(report.text(), end="")
        if options.json is not None:
            options.json.write_text(json.dumps(report.json(), indent=1) + "\n")
    finally:
        for system in systems:
            system.close()


def _gallery(options: Options) -> Gallery:
    gallery = Gallery(options.gallery, options.probes)
    whole = len(gallery.probes) // options.photo * options.photo
    if whole == 0:
        raise Failure(f"{len(gallery.probes)} probes make no photo of {options.photo}")
    return gallery if whole == len(gallery.probes) else Gallery(options.gallery, whole)


def _system(key: str, options: Options, gallery: Gallery) -> System | None:
    """Opens a system, building it when needed; a peer that does not work here is reported and left out."""
    if key == "mien":
        return Mien(gallery, options.mien, options.partition, options.match_limit)
    arguments = (gallery, options.work, options.match_limit)
    try:
        # Imported here: what did not install must not keep the others from running.
        if key.startswith("faiss"):
            peer: System = importlib.import_module("peer_runner.faiss_peers").FaissPeer(key, *arguments)
        elif key == "scann":
            peer = importlib.import_module("peer_runner.scann_peer").ScannPeer(*arguments)
        elif key == "hnswlib":
            peer = importlib.import_module("peer_runner.hnswlib_peer").HnswlibPeer(*arguments)
        else:
            peer = importlib.import_module("peer_runner.qdrant_peer").QdrantPeer(*arguments)
    except (ImportError, AttributeError, RuntimeError, Failure) as error:
        print(f"{key} is left out: {error}", file=sys.stderr)
        return None
    return peer


def _measure(options: Options, gallery: Gallery, systems: list[System]) -> Report:
    print("comparing with exact search", file=sys.stderr)
    truth = Truth.load(gallery, options.match_limit, options.work / f"truth-{gallery.fingerprint}.npz")
    if not truth.has_mate_first.any():
        raise Failure("exact search ranks no probe's mate first; generate the gallery with mated probes")
    started = os.getloadavg()[0]
    choices = {system.key: _choices(system, options, gallery, truth) for system in systems}
    entrants: dict[tuple[str, str, int], Entrant] = {}
    contests = []
    for level in levels(options.match_limit):
        for batch in _batches(options):
            entered: list[tuple[System, Entrant | None]] = []
            for system in systems:
                label = choices[system.key][level.name][str(batch)]
                key = (system.key, label or "", batch)
                if label and key not in entrants:
                    setting = _setting(system, label)
                    threads = quickest_threads(system, setting, batch, options.threads, options.photo)
                    entrants[key] = Entrant(system, setting, batch, threads)
                entered.append((system, entrants.get(key)))
            contests.append(Contest(level, batch, entered))
    default = [
        entrants.setdefault((system.key, DEFAULT_EFFORT, batch), Entrant(system, setting, batch, threads))
        for system in systems
        if system.key == "mien"
        for batch in _batches(options)
        for setting in [_setting(system, DEFAULT_EFFORT)]
        for threads in [quickest_threads(system, setting, batch, options.threads, options.photo)]
    ]
    # Enough by default for every probe to be answered, so that levels are judged on all.
    rounds = options.rounds or max(15, len(gallery.probes) // options.photo)
    times = run_rounds(list(entrants.values()), rounds, len(gallery.probes), options.photo)
    heading = {
        "gallery": f"{len(gallery.faces)} x {gallery.dimension}, {len(gallery.probes)} probes, "
        f"{int(truth.has_mate_first.sum())} with the mate first in exact search",
        "search": f"k = {options.match_limit}, {_threads(options.threads)}, times a probe, "
        f"medians of {rounds} rounds in turn",
        "machine": f"{_processor()}, {os.cpu_count()} processors, "
        f"load {started:.1f} at the start, {os.getloadavg()[0]:.1f} at the end",
        "call of a peer": _call_cost(systems, gallery.dimension),
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }
    return Report(heading, systems, contests, times, truth, default=default, by_wall=options.threads > 1)


def _call_cost(systems: list[System], dimension: int) -> str:
    """What the peers pay for being called from Python, as far as it is known."""
    if not any(system.key.startswith("faiss") for system in systems):
        return "not measured"
    microseconds: float = importlib.import_module("peer_runner.faiss_peers").call_microseconds(dimension)
    return f"{microseconds:.0f} us through Python, for Faiss over one face; contained in the times"


def _threads(count: int) -> str:
    return "one thread" if count == 1 else f"{count} threads"


def _batches(options: Options) -> list[int]:
    return sorted({1, options.photo})


def _choices(system: System, options: Options, gallery: Gallery, truth: Truth) -> Choices:
    """The settings of last time when nothing changed, else found anew."""
    asked = json.dumps(
        [gallery.fingerprint, len(gallery.probes), options.photo, options.match_limit, system.version, system.name]
        + [[[s.label for s in family] for family in sweep] for sweep in system.sweeps()]
    )
    file = options.work / f"settings-{system.key}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}.json"
    if file.exists() and not options.choose_again:
        saved: Choices = json.loads(file.read_text())
        return saved
    print(f"choosing settings of {system.name}", file=sys.stderr)
    started = time.perf_counter()
    trials = Trials(system, truth, len(gallery.probes), options.photo)
    choices: Choices = {}
    for level in levels(options.match_limit):
        chosen = {batch: trials.choose(level, batch) for batch in _batches(options)}
        choices[level.name] = {str(batch): setting.label if setting else None for batch, setting in chosen.items()}
    file.write_text(json.dumps(choices, indent=1) + "\n")
    print(f"chose settings of {system.name} in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return choices


def _setting(system: System, label: str) -> Setting:
    for sweep in system.sweeps():
        for family in sweep:
            for setting in family:
                if setting.label == label:
                    return setting
    raise Failure(f"{system.name} has no setting '{label}'; run with --choose-again")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"
