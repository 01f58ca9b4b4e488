"""Writes of one caller, one after the other, and what a collection that is restored to a moment among them may hold."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cluster import COPIES, Cluster, Failure, say

COLLECTION = "journal"
DIMENSION = 64
CLOCK_SECONDS = 0.003
"""Moments are told in milliseconds: writes so near to one may be before it or after it."""


@dataclass
class Write:
    """One that was acknowledged, from its command's beginning to its end in seconds since 1970."""

    begin: float
    end: float
    faces: dict[str, str | None]
    """What each face became: its external id, or nothing when it was deleted."""


class Journal:
    """A collection of its own that is written to in the background, and all that was acknowledged."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.writes: list[Write] = []
        self.moment = datetime.now(UTC)
        self._random = random.Random(1)
        self._faces: dict[str, str] = {}
        self._is_over = threading.Event()
        self._failure: Failure | None = None
        self._thread = threading.Thread(target=self._write_on, daemon=True)

    def prepare(self) -> None:
        """Makes the collection, and the backup that the archive goes on from."""
        self.cluster.run("collection", "create", COLLECTION, "--dimension", str(DIMENSION), "--model", COLLECTION,
                         "--shards", "2", "--copies", str(COPIES))  # fmt: skip
        for _ in range(4):
            self._write()
        self.cluster.run("backup", "create", COLLECTION, "--to", str(self.cluster.backups))

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._is_over.set()
        self._thread.join()
        if self._failure:
            raise self._failure

    def mark(self) -> None:
        """This is the moment to restore to."""
        self.moment = datetime.now(UTC)

    def check(self) -> None:
        """Restores the collection to the moment, and compares."""
        moment = self.moment
        then = f"{COLLECTION}-then"
        self.cluster.run("backup", "restore", str(self.cluster.backups), "--from", COLLECTION, "--collection", then,
                         "--at", text(moment), "--undelete", "--copies", str(COPIES))  # fmt: skip
        listed = self.cluster.run("face", "list", then, "--all", "--json")
        faces: list[dict[str, Any]] = [json.loads(line) for line in listed.splitlines()]
        stored = {face["id"]: face["external_id"] for face in faces}
        sure, possible = self._states(moment.timestamp())
        if not 0 < sure < len(self.writes) - len(possible):
            raise Failure(f"the moment {text(moment)} is not in the midst of the {len(self.writes)} writes")
        # Of a write under way each shard may have its part.
        known = stored.keys() | {face for state in possible for face in state}
        wrong = sorted(face for face in known if stored.get(face) not in {state.get(face) for state in possible})
        place = f"behind {sure} of {len(self.writes)} writes one after the other"
        if wrong:
            raise Failure(f"at {text(moment)}, {place}, {len(wrong)} faces are not as they were, first {wrong[:3]}")
        say(f"a moment {place} is as it was: {len(stored)} faces")

    def _states(self, moment: float) -> tuple[int, list[dict[str, str]]]:
        """How many writes had ended, and what may be there: with these alone, and with each that was under way."""
        state: dict[str, str] = {}
        sure, states = 0, []
        for write in self.writes:
            if write.begin > moment + CLOCK_SECONDS:
                break
            if write.end >= moment - CLOCK_SECONDS:
                states.append(dict(state))
            else:
                sure += 1
            apply(write, state)
        return sure, [*states, state]

    def _write_on(self) -> None:
        try:
            while not self._is_over.is_set():
                self._write()
        except Failure as failure:
            self._failure = failure

    def _write(self) -> None:
        """New faces and others in the place of some, or every fourth time a deletion."""
        number = len(self.writes) + 1
        known = sorted(self._faces)
        some = self._random.sample(known, min(2, len(known)))
        faces: dict[str, str | None]
        if number % 4 == 0:
            faces = dict.fromkeys(some)
            command = ["face", "delete", COLLECTION, *some]
        else:
            new = [str(uuid.UUID(int=self._random.getrandbits(128), version=4)) for _ in range(3)]
            faces = dict.fromkeys(new + some, f"write-{number}")
            file = self.cluster.folder / "journal.jsonl"
            file.write_text("".join(
                json.dumps({"id": face, "external_id": name,
                            "embedding": [self._random.uniform(-1, 1) for _ in range(DIMENSION)]}) + "\n"
                for face, name in faces.items()
            ))  # fmt: skip
            command = ["import", COLLECTION, "--embeddings", str(file)]
        begin = time.time()
        self.cluster.run(*command)
        write = Write(begin, time.time(), faces)
        self.writes.append(write)
        apply(write, self._faces)


def apply(write: Write, state: dict[str, str]) -> None:
    for face, name in write.faces.items():
        if name is None:
            state.pop(face, None)
        else:
            state[face] = name


def text(moment: datetime) -> str:
    """As commands take it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
