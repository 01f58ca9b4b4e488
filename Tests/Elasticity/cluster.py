"""A cluster of processes on free ports of the loopback, and loads on it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from figures import Series
from pauses import Pauses

REPOSITORY = Path(__file__).resolve().parents[2]
COPIES = 2
MIX = "search=80,enrol=8,upsert=6,delete=6"


class Failure(Exception):
    """What went wrong, for the person who ran it."""


class Cluster:
    """Processes of one cluster on free ports, each of which can be stopped and started again."""

    def __init__(
        self,
        folder: Path,
        mien: Path,
        workers: int,
        most_workers: int,
        settings: Sequence[str] = (),
        former: Path | None = None,
        time_between_restarts: float = 4,
    ) -> None:
        """The settings are keys of nodes with values; nodes begin as the former program, if there is one."""
        self.mien = str(mien)
        self.node_program = str(former or mien)
        self.folder = folder
        self.time_between_restarts = time_between_restarts
        self.settings = {
            role: [part for setting in settings if setting.startswith(role + ".") for part in ("--set", setting)]
            for role in ("coordinator", "worker")
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.commands: dict[str, list[str]] = {}
        self.worker_count = workers
        ports = iter(free_ports(2 * most_workers + 8))
        self.addresses = {f"worker-{n}": f"127.0.0.1:{next(ports)}" for n in range(1, most_workers + 1)}
        self.metrics = {name: f"127.0.0.1:{next(ports)}" for name in self.addresses}
        self.addresses |= {f"coordinator-{n}": f"127.0.0.1:{next(ports)}" for n in (1, 2)}
        self.endpoints = {f"etcd-{n}": f"http://127.0.0.1:{next(ports)}" for n in (1, 2, 3)}
        self.peers = {f"etcd-{n}": f"http://127.0.0.1:{next(ports)}" for n in (1, 2, 3)}
        self.backups = folder / "backups"
        self.backups.mkdir()
        both = [self.addresses["coordinator-1"], self.addresses["coordinator-2"]]
        self.environment = os.environ | {"MIEN_COORDINATOR": ",".join(both), "NO_COLOR": "1"}
        self.pauses = Pauses(folder / "pauses.log")

    def start(self) -> None:
        """All but the two workers that come later."""
        members = ",".join(f"{name}={peer}" for name, peer in self.peers.items())
        for name, client in self.endpoints.items():
            self._run(name, [
                "etcd", "--name", name, "--data-dir", str(self.folder / name), "--initial-cluster", members,
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", self.peers[name], "--initial-advertise-peer-urls", self.peers[name],
            ])  # fmt: skip
        endpoints = ",".join(self.endpoints.values())
        for number in (1, 2):
            name = f"coordinator-{number}"
            self._run(name, [
                self.node_program, "coordinator", "--listen", self.addresses[name], "--data", str(self.folder / name),
                "--set", "coordinator.metadata=etcd", "--set", f"coordinator.etcd.endpoints={endpoints}",
                "--set", f"coordinator.archive.place={self.backups}", *self.settings["coordinator"],
            ])  # fmt: skip
        for number in range(1, self.worker_count + 1):
            self.start_worker(number)
        self.await_health(workers=self.worker_count)

    def start_worker(self, number: int) -> None:
        name = f"worker-{number}"
        command = [self.node_program, "worker", "--listen", self.addresses[name], "--data", str(self.folder / name)]
        command += ["--set", f"worker.admin_listen={self.metrics[name]}"]
        for coordinator in (1, 2):
            command += ["--coordinator", self.addresses[f"coordinator-{coordinator}"]]
        self._run(name, command + self.settings["worker"])

    def _run(self, name: str, command: list[str]) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.commands[name] = command
        self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def restart(self, name: str, program: str | None = None) -> None:
        """Ends a process as systemd would, starts it again, and waits until the cluster is whole.

        Nodes become the program that is measured, unless another is given.
        """
        self.end(name)
        program = "etcd" if name in self.endpoints else program or self.mien
        self._run(name, [program, *self.commands[name][1:]])
        self.await_health()

    def roll(self, *names: str, program: str | None = None) -> float:
        """Restarts one after the other, each a while after the one before is back, and waits as long after the last.

        Gives the seconds that the restarts took, without that.
        """
        bare = 0.0
        for name in names:
            begin = time.monotonic()
            self.restart(name, program)
            bare += time.monotonic() - begin
            time.sleep(self.time_between_restarts)
        return bare

    def end(self, name: str) -> None:
        process = self.processes.pop(name)
        process.terminate()
        # An etcd that is told to end says so by the signal.
        if process.wait(60) not in ((0, -signal.SIGTERM) if name in self.endpoints else (0,)):
            raise Failure(f"{name} ended with {process.returncode}; see {self.folder / name}.log")

    def await_health(self, workers: int = 0) -> None:
        """Until every member of etcd is healthy, and `mien status --warm` of each coordinator ends with 0."""
        deadline = time.monotonic() + 120
        while not all(map(is_healthy, self.endpoints.values())):
            if time.monotonic() > deadline:
                raise Failure(f"etcd is not whole after two minutes; logs are in {self.folder}")
            time.sleep(0.1)
        for coordinator in (1, 2):
            address = self.addresses[f"coordinator-{coordinator}"]
            ready = ("status", "--warm", "--workers", str(workers), "--coordinator", address)
            while self._try(*ready).returncode != 0:
                if time.monotonic() > deadline:
                    raise Failure(f"the cluster is not whole after two minutes; logs are in {self.folder}")
                time.sleep(0.1)

    def _try(self, *arguments: str, under: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*under, self.mien, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def run(self, *arguments: str, meanwhile: Callable[[], object] | None = None) -> str:
        """What the command prints; it must end with 0. Something may be done over and over until it has ended."""
        with subprocess.Popen(
            [self.mien, *arguments], env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            try:
                while meanwhile is not None and process.poll() is None:
                    meanwhile()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(0.5)
            except Failure:
                process.kill()
                raise
            output, error = process.communicate()
        if process.returncode != 0:
            raise Failure(f"mien {' '.join(arguments)} ended with {process.returncode}: {error.strip()}")
        return output

    def fill(self, faces: int, shards: int) -> None:
        """Makes a collection of so many faces."""
        say(f"filling a collection with {faces} faces")
        self.run("collection", "create", "people", "--dimension", "512", "--model", "synthetic-wild-512",
                 "--shards", str(shards), "--copies", str(COPIES))  # fmt: skip
        self.run("load", "run", "people", "--fill", str(faces))

    def await_worker(self, address: str) -> None:
        deadline = time.monotonic() + 60
        while not self.workers().get(address, {}).get("live"):
            if time.monotonic() > deadline:
                raise Failure(f"the worker at {address} does not come; logs are in {self.folder}")
            time.sleep(0.2)

    def workers(self) -> dict[str, dict[str, Any]]:
        """What `mien status` tells of each, by its address; a cluster that lacks something is told of as well."""
        answer = self._try("status", "--json", under=("nice", "-n", "19"))
        return {worker["address"]: worker for worker in json.loads(answer.stdout)["workers"]}

    def live_bytes(self) -> dict[str, int]:
        """Bytes of pages in use in each running worker's partitions, by its address: those of its files less the free.

        As each worker last told them, which it does every ten seconds, and of a new replica at once.
        """
        live: dict[str, int] = {}
        for name in self.metrics.keys() & self.processes.keys():
            try:
                with urllib.request.urlopen(f"http://{self.metrics[name]}/metrics", timeout=5) as answer:
                    text = answer.read().decode()
            except OSError as error:
                raise Failure(f"the metrics of {name} at {self.metrics[name]} cannot be read: {error}") from None
            live[self.addresses[name]] = metric(text, "mien_lmdb_used_bytes") - metric(text, "mien_lmdb_free_bytes")
        return live

    def plan(self, command: Sequence[str]) -> tuple[float, int]:
        """What `mien plan` tells of a command: seconds and bytes, of all that it would begin one after the other."""
        answer = self._try("plan", *(word for word in command if word != "--wait"), "--json")
        if answer.returncode != 0:
            raise Failure(f"mien plan {' '.join(command)} ended with {answer.returncode}: {answer.stderr.strip()}")
        document = json.loads(answer.stdout)
        plans: list[dict[str, Any]] = document if isinstance(document, list) else [document]
        seconds = sum(plan["estimated_seconds"] or 0.0 for plan in plans)
        return seconds, sum(step["total_bytes"] for plan in plans for step in plan["steps"])

    def operations(self) -> list[dict[str, Any]]:
        """All there were, asked for without taking a processor from those who are measured."""
        answer = self._try("operations", "--all", "--json", under=("nice", "-n", "19"))
        if answer.returncode != 0:
            raise Failure(f"mien operations ended with {answer.returncode}: {answer.stderr.strip()}")
        return json.loads(answer.stdout)

    def stop(self) -> None:
        """Ends whatever is left."""
        self.pauses.stop()
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()


class Load:
    """`mien load run` in the background, until it is told to stop."""

    def __init__(self, cluster: Cluster, options: argparse.Namespace, name: str, mix: str = MIX) -> None:
        self.file = cluster.folder / f"{name}.json"
        self.log = cluster.folder / f"{name}.log"
        command = [
            cluster.mien, "load", "run", "people", "--rate", str(options.rate), "--mix", mix,
            "--duration", f"{options.duration}s", "--retry", options.retry, "--deadline", "8s", "--faces",
            str(options.faces), "--compare", str(options.compare), "--json-file", str(self.file),
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=cluster.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def await_begin(self) -> None:
        """Until it has told of its first seconds: probes are made and faces counted before that."""
        deadline = time.monotonic() + 300
        while re.search(r"^\d+ s  ", self.log.read_text(), re.MULTILINE) is None:
            self.check()
            if time.monotonic() > deadline:
                raise Failure(f"the load does not begin; see {self.log}")
            time.sleep(0.2)

    def check(self) -> None:
        if self.process.poll() is not None:
            raise Failure(f"the load ended by itself; see {self.log}")

    def end(self) -> dict[str, Any]:
        """Stops it, lets it check everything, and reads its report."""
        self.check()
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        if not self.file.exists():
            raise Failure(f"the load wrote no report; see {self.log}")
        return json.loads(self.file.read_text())

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def add_options(parser: argparse.ArgumentParser, faces: int) -> None:
    """What every measurement of a cluster takes."""
    parser.add_argument("--faces", type=int, default=faces)
    parser.add_argument("--rate", type=int, default=60, help="calls a second (default: 60)")
    parser.add_argument("--set", action="append", default=[], help="a key of nodes, such as worker.copy_rate=32MiB")
    parser.add_argument("--mien", type=Path, default=REPOSITORY / ".build/release/mien", help="the mien binary")
    parser.add_argument("--keep", type=Path, help="a new folder for data and logs, which stays")


def check_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    options.mien = options.mien.resolve()
    if not all(setting.startswith(("worker.", "coordinator.")) for setting in options.set):
        parser.error("--set takes keys that begin with worker. or coordinator.")
    if options.faces < 1000 or options.rate < 1:
        parser.error("--faces is at least 1000, --rate at least 1")
    if not options.mien.is_file():
        parser.error(f"{options.mien} is missing; build it: swift build -c release --product mien")
    if shutil.which("etcd") is None:
        parser.error("there is no etcd; install it: deploy/packages etcd-server")


def play_in_folder(name: str, keep: Path | None, play: Callable[[Path], int]) -> int:
    """Gives it a folder, which stays when it fails, or when it is to be kept."""
    folder = keep.resolve() if keep else Path(tempfile.mkdtemp(prefix=f"mien-{name}-"))
    if keep:
        folder.mkdir(parents=True)
    stays = keep is not None
    try:
        return play(folder)
    except Failure as failure:
        print(f"{name}: {failure}", file=sys.stderr)
        stays = True
        return 1
    finally:
        if stays:
            say(f"data and logs are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def worker_names(count: int) -> list[str]:
    return [f"worker-{number}" for number in range(1, count + 1)]


def told(reports: list[tuple[str, dict[str, Any]]]) -> int:
    """Prints what each load found; 1 when anything was not as it must be."""
    failed = 0
    for name, report in reports:
        series, findings = Series(report), report["truth"]["findings"]["counts"]
        unchecked = report["truth"]["unchecked"]
        again, writes = report["resends"]["call_count"], report.get("write_resends", {}).get("call_count")
        # Of a program that did not count them apart nothing is said.
        kinds = "" if writes is None else f" ({again - writes} searches and {writes} writes)"
        print(f"{name}: {series.call_count} calls, {series.partial_count} partial, {series.failed_count} failed, "
              f"{again} sent more than once{kinds}; "
              f"findings: {findings or 'none'}{f'; not checked: {unchecked}' if unchecked else ''}")  # fmt: skip
        truth = report["truth"]
        print(f"    of {truth['compared_answer_count']} sampled answers {truth['found_match_count']} of "
              f"{truth['required_match_count']} matches of exact search, {truth['found_mate_count']} of "
              f"{truth['required_mate_count']} mates")  # fmt: skip
        failed += series.partial_count + series.failed_count + sum(findings.values()) + len(unchecked)
    print("all replicas are sound and equal")
    return 1 if failed else 0


def machine(report: dict[str, Any]) -> str:
    about = report["machine"]
    return f"{about['processor_count']} processors ({about['processor']}), {datetime.now(UTC):%Y-%m-%d}"


def metric(text: str, name: str) -> int:
    """The sum of a metric's series in what a node tells."""
    values = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE)
    return int(sum(map(float, values)))


def is_healthy(etcd: str) -> bool:
    try:
        with urllib.request.urlopen(f"{etcd}/health", timeout=5) as answer:
            return json.load(answer)["health"] == "true"
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


def say(text: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)
