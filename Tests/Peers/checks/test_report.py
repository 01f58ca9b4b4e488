"""The table names the best peer and pairs times by round."""

import unittest

import numpy as np

from peer_runner.choice import levels
from peer_runner.markdown import table
from peer_runner.report import Contest, Report
from peer_runner.rounds import Entrant, quickest_threads, ratio, run_rounds
from peer_runner.system import Footprint, Pass, Setting, Sweep, System
from peer_runner.truth import BAND_FLOORS, Quality

SETTING = Setting("only")


class ReportTests(unittest.TestCase):
    def setUp(self) -> None:
        self.mien, self.slow, self.fast = Clockwork("mien", 1), Clockwork("slow", 5), Clockwork("fast", 3)
        systems = [self.mien, self.slow, self.fast]
        entrants = [(system, Entrant(system, SETTING, 1)) for system in systems]
        contest = Contest(levels(10)[0], 1, [*entrants, (Clockwork("unable", 1), None)])
        self.times = run_rounds([entrant for _, entrant in entrants], rounds=3, probe_count=8, photo=4)
        self.report = Report({"gallery": "small"}, systems, [contest], self.times, PerfectTruth())

    def test_the_best_peer_is_the_one_of_least_time(self) -> None:
        best = self.report.json()["contests"][0]["best_peer"]
        self.assertEqual(best, {"system": "fast", "ratio": 3, "quartiles": [3, 3]})
        self.assertIn("| mate@1 >= 0.99 | 1             | FAST", self.report.text())

    def test_with_several_threads_wall_time_decides(self) -> None:
        entrants = {entrant.system.key: entrant for entrant in self.times}
        self.times[entrants["slow"]].wall_ms = [2.0, 2.0, 2.0]
        contest = Contest(levels(10)[0], 1, [(entrant.system, entrant) for entrant in self.times])
        systems = [self.mien, self.slow, self.fast]
        report = Report({}, systems, [contest], self.times, PerfectTruth(), by_wall=True)
        self.assertEqual(report.json()["contests"][0]["best_peer"]["system"], "slow")
        self.assertIn("Best peer's wall time over Mien's", report.text())

    def test_the_default_effort_is_told_beside_the_best_peer_of_its_batch(self) -> None:
        entrants = {entrant.system.key: entrant for entrant in self.times}
        contest = Contest(levels(10)[0], 1, [(entrant.system, entrant) for entrant in self.times])
        default = [entrants["mien"]]
        systems = [self.mien, self.slow, self.fast]
        report = Report({}, systems, [contest], self.times, PerfectTruth(), default=default)
        self.assertIn("| only    | 1             | 1.000  | 1.0000 | 1.0000    | 3.00 (3.00-3.00)", report.text())
        self.assertEqual([line["cpu_ms"] for line in report.json()["default"]], [1.0])
        self.assertNotIn("default effort", self.report.text())

    def test_a_system_that_does_not_reach_a_level_is_named(self) -> None:
        self.assertIn("| UNABLE | does not reach it |", self.report.text())

    def test_every_round_gives_all_the_same_probes_after_others(self) -> None:
        self.assertEqual(self.fast.searched, [(4, 4), (0, 4), (0, 4), (4, 4), (4, 4), (0, 4)])
        self.assertEqual(self.fast.searched, self.mien.searched)

    def test_bands_are_printed_once_for_equal_answers(self) -> None:
        self.assertEqual(self.report.text().count("| SLOW   | only    | 1             |"), 1)

    def test_a_build_is_told_in_faces_a_second_and_beside_it_the_restart(self) -> None:
        head, _, first = self.report.text().split("Build and keep\n\n")[1].splitlines()[:3]
        told = dict(zip(cells(head), cells(first), strict=True))
        self.assertEqual((told["build CPU s"], told["faces a CPU s"]), ("4.0", "250"))
        self.assertEqual((told["build wall s"], told["faces/s"], told["restart s"]), ("2.0", "500", "0.250"))


class RatioTests(unittest.TestCase):
    def test_is_the_median_of_the_rounds(self) -> None:
        # The second round was slow for both: their ratio is not.
        self.assertEqual(ratio([2, 40, 6], [1, 20, 2])[0], 2)


class ThreadsTests(unittest.TestCase):
    def test_a_peer_gets_the_number_of_threads_that_is_faster(self) -> None:
        self.assertEqual(quickest_threads(Dividing("fair", 0.6), SETTING, 4, 2, 8), 2)
        self.assertEqual(quickest_threads(Dividing("slow", 1.2), SETTING, 4, 2, 8), 1)

    def test_one_that_divides_nothing_is_given_one(self) -> None:
        system = Dividing("whole", 0.6)
        system.uses_threads = False
        self.assertEqual(quickest_threads(system, SETTING, 4, 2, 8), 1)

    def test_one_that_settles_it_by_itself_is_given_all(self) -> None:
        system = Dividing("own", 1.2)
        system.settles_threads = True
        self.assertEqual(quickest_threads(system, SETTING, 4, 2, 8), 2)

    def test_a_round_uses_the_entrants_number(self) -> None:
        system = Dividing("fair", 0.6)
        entrants = [Entrant(system, SETTING, 4, threads) for threads in (1, 2)]
        times = run_rounds(entrants, rounds=2, probe_count=8, photo=4)
        self.assertEqual([times[entrant].wall_ms for entrant in entrants], [[1, 1], [0.6, 0.6]])


class TableTests(unittest.TestCase):
    def test_columns_are_aligned(self) -> None:
        self.assertEqual(table([["a", "b"], ["long", "c"]]), "| a    | b |\n|------|---|\n| long | c |")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


class Clockwork(System):
    """Takes the same time for every probe."""

    version = "1"

    def __init__(self, key: str, milliseconds: float) -> None:
        self.key, self.name, self.milliseconds = key, key.upper(), milliseconds
        self.searched: list[tuple[int, int]] = []

    def footprint(self) -> Footprint:
        return Footprint(4, 2, 1_000_000, 2_000_000, 0.25)

    def sweeps(self) -> list[Sweep]:
        return [[[SETTING]]]

    def search(self, first: int, count: int, setting: Setting, batch: int) -> Pass:
        self.searched.append((first, count))
        return Pass(np.zeros((count, 10)), self.milliseconds * count, self.milliseconds * count)


class Dividing(Clockwork):
    """Takes a share of a millisecond for every probe with two threads."""

    def __init__(self, key: str, share: float) -> None:
        super().__init__(key, 1)
        self.share = share

    def use_threads(self, count: int) -> None:
        self.milliseconds = 1 if count == 1 else self.share


class PerfectTruth:
    """Finds nothing wrong."""

    match_limit = 10
    face_count = 1000

    def quality(self, answers, first: int = 0) -> Quality:
        mates = [len(answers)] * len(BAND_FLOORS)
        return Quality(count=len(answers), recall=1, mate=1, found=mates, mates=mates)


if __name__ == "__main__":
    unittest.main()
