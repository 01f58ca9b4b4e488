"""Openings are timed until the first answer, and another process's from when it has the file."""

import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from peer_runner.restart import REPEATS, Opening, await_opened, open_warm

SLOW_TO_OPEN = """
import sys, time
time.sleep(0.3)
file = open(sys.argv[1])
print("opened", flush=True)
sys.stdin.read()
"""


class OpenWarmTests(unittest.TestCase):
    def test_every_opening_is_followed_by_an_answer(self) -> None:
        done: list[str] = []
        with tempfile.TemporaryDirectory() as name:
            opening = open_warm([Path(name)], lambda: done.append("load"), lambda: done.append("answer"))
        self.assertEqual(done, ["load", "answer"] * REPEATS)
        self.assertGreater(opening.seconds, 0)

    def test_what_is_read_apart_is_added(self) -> None:
        self.assertEqual(Opening(1, 20) + Opening(2, 30), Opening(3, 50))


class AwaitOpenedTests(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.file = Path(temporary.name) / "data"
        self.file.write_text("some")

    def start(self, program: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(self.file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.addCleanup(process.communicate)
        return process

    def test_waits_until_the_file_is_open(self) -> None:
        started = time.perf_counter()
        process = self.start(SLOW_TO_OPEN)
        opened = await_opened(process.pid, self.file, lambda: process.poll() is None)
        self.assertGreater(opened - started, 0.3)
        self.assertIsNone(process.poll())
        self.assertEqual(process.stdout.readline(), b"opened\n")

    def test_ends_with_a_process_that_never_opens_it(self) -> None:
        process = self.start("pass")
        await_opened(process.pid, self.file, lambda: process.poll() is None)
        self.assertEqual(process.wait(), 0)


if __name__ == "__main__":
    unittest.main()
