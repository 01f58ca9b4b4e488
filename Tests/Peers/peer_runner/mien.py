"""Mien: `mien bench index --interactive`, a process that is told what to search, a line at a time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

from peer_runner.failure import Failure
from peer_runner.gallery import Gallery
from peer_runner.memory import resident_bytes
from peer_runner.restart import REPEATS, await_opened, warm
from peer_runner.system import Footprint, Pass, Setting, Sweep, System, steps

TARGETS = [
    0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.87, 0.88, 0.89, 0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985,
    0.99, 0.9925, 0.995, 0.9965, 0.998, 0.999, 0.9995, 0.9999,
]  # fmt: skip
"""What `recall:R` is tried with."""
DEFAULT_EFFORT = "recall:0.99"
"""What a search that names no effort takes; timed besides, whatever the levels choose."""


class Mien(System):
    """The index of one partition in a process of its own, timed by that process's own CPU clock."""

    key = "mien"
    name = "Mien"
    answers_depend_on_batch = True
    settles_threads = True

    def __init__(self, gallery: Gallery, binary: Path, partition: Path, match_limit: int) -> None:
        if not binary.is_file():
            raise Failure(f"{binary} is missing; build it: swift build -c release --product mien")
        self._match_limit = match_limit
        self._face_count = len(gallery.faces)
        about = binary.stat()
        self.version = f"{binary.name} of {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(about.st_mtime))}"
        recipe = f"{gallery.fingerprint} {about.st_size} {about.st_mtime_ns}"
        record_file = partition.parent / f"{partition.name}.json"
        record = json.loads(record_file.read_text()) if record_file.exists() else {}
        is_ours = "recipe" in record
        is_built = (partition / "data.mdb").exists()
        if is_built and is_ours and record["recipe"] != recipe:
            # Another binary may build another index; a partition that came from elsewhere is left as it is.
            shutil.rmtree(partition)
            is_built = False
        if not is_built:
            print("building mien", file=sys.stderr)
            partition.parent.mkdir(parents=True, exist_ok=True)
            record_file.unlink(missing_ok=True)
        self._partition = partition
        self._command = [str(binary), "bench", "index", str(gallery.folder), "--partition", str(partition)]
        self._command += ["--interactive", "--threads"]
        self._threads = 1
        started = time.perf_counter()
        self._start()
        if not is_built:
            self.answer_one()
            record = {"recipe": recipe, "cpu_s": self._cpu_seconds(), "wall_s": time.perf_counter() - started}
            record_file.write_text(json.dumps(record, indent=1) + "\n")
        self._record = record
        self._restart_s = self._restart_seconds()

    def _start(self) -> None:
        command = [*self._command, str(self._threads)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _restart_seconds(self) -> float:
        """From when a new process opens the partition until it has answered; leaves the last one running.

        What comes before is the bench's own: it reads the probes and the names of the faces.
        """
        file = self._partition / "data.mdb"
        warm([file])
        times = []
        for _ in range(REPEATS):
            self.close()
            self._start()
            opened = await_opened(self._process.pid, file, lambda: self._process.poll() is None)
            self.answer_one()
            times.append(time.perf_counter() - opened)
        return median(times)

    def use_threads(self, count: int) -> None:
        """Starts the process anew when it has another number."""
        if count != self._threads:
            self._threads = count
            self.close()
            self._start()
            self.answer_one()

    def footprint(self) -> Footprint:
        """Resident bytes are those of the whole process, mapped file and all, after the searches so far."""
        files = [file for file in self._partition.rglob("*") if file.is_file()]
        return Footprint(
            build_cpu_s=self._record.get("cpu_s"),
            build_wall_s=self._record.get("wall_s"),
            disk_bytes=sum(file.stat().st_blocks * 512 for file in files),
            resident_bytes=resident_bytes(self._process.pid),
            restart_s=self._restart_s,
        )

    def sweeps(self) -> list[Sweep]:
        return [
            [[Setting(f"recall:{target}") for target in TARGETS]],
            [[Setting(f"lists:{count}") for count in steps(4, max(8, self._face_count // 64))]],
            [[Setting("full")]],
        ]

    def search(self, first: int, count: int, setting: Setting, batch: int) -> Pass:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(f"search {setting.label} {self._match_limit} {batch} {first} {count}\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Failure(f"mien ended with {self._process.wait()}; its words are above")
        answer = json.loads(line)
        rows = np.full((count, self._match_limit), -1, dtype=np.int64)
        for probe, found in enumerate(answer["rows"]):
            rows[probe, : len(found)] = found
        return Pass(rows, float(answer["cpu_ms"]), float(answer["wall_ms"]))

    def close(self) -> None:
        """Ends the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _cpu_seconds(self) -> float:
        # Fields 14 and 15 of proc(5); the name before them may hold spaces.
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))
