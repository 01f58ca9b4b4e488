"""The cheapest setting is found, whatever the shape of the grid."""

import unittest

import numpy as np

from peer_runner.choice import Level, Trials, first_index
from peer_runner.system import Footprint, Pass, Setting, Sweep, System, steps
from peer_runner.truth import Quality

QUALITY = Level("recall", 0.9, lambda quality: quality.recall)


class FirstIndexTests(unittest.TestCase):
    def test_finds_every_border(self) -> None:
        for border in range(8):
            self.assertEqual(first_index(7, lambda index, border=border: index >= border), border)


class StepsTests(unittest.TestCase):
    def test_rise_evenly_and_hold_both_ends(self) -> None:
        self.assertEqual(steps(4, 16, 1), [4, 8, 16])
        self.assertEqual(steps(10, 100, 1), [10, 20, 40, 80, 100])


class TrialsTests(unittest.TestCase):
    def test_takes_the_cheapest_setting_that_reaches_the_level(self) -> None:
        # Reach is nprobe + depth; time is nprobe + 3 · depth, so that much nprobe and little depth is cheapest.
        system = GridSystem(lambda lists, depth: lists + 3 * depth)
        self.assertEqual(self.choose(system), Setting("", (8, 1)))

    def test_weighs_a_photo_by_its_own_time(self) -> None:
        system = GridSystem(lambda lists, depth, batch: 1.5 * lists + depth if batch > 1 else lists + 3 * depth)
        self.assertEqual(self.choose(system, batch=1), Setting("", (8, 1)))
        self.assertEqual(self.choose(system, batch=4), Setting("", (1, 8)))

    def test_finds_none_where_none_reaches(self) -> None:
        self.assertIsNone(self.choose(GridSystem(lambda lists, depth: lists + depth, reach=100)))

    @staticmethod
    def choose(system: "GridSystem", batch: int = 4) -> Setting | None:
        return Trials(system, OfferedQuality(system), probe_count=8, photo=4).choose(QUALITY, batch)


class GridSystem(System):
    """Answers with the sum of its knobs, which `OfferedQuality` reads."""

    key, name, version = "grid", "Grid", "1"

    def __init__(self, cost, reach: int = 9) -> None:
        self.cost, self.reach = cost, reach

    def footprint(self) -> Footprint:
        return Footprint(None, None, 0, None)

    def sweeps(self) -> list[Sweep]:
        return [[[Setting("", (lists, depth)) for depth in (1, 2, 4, 8)] for lists in (1, 2, 4, 8)]]

    def search(self, first: int, count: int, setting: Setting, batch: int) -> Pass:
        arguments = (*setting.values, batch)[: self.cost.__code__.co_argcount]
        time = self.cost(*arguments) * count
        return Pass(np.full((count, 1), sum(setting.values)), time, time)


class OfferedQuality:
    """Stands for the truth: recall is the share of the reach that was offered, 1 from there on."""

    def __init__(self, system: GridSystem) -> None:
        self.reach = system.reach

    def quality(self, answers, first: int = 0) -> Quality:
        return Quality(recall=1.0 if answers[0, 0] >= self.reach else 0.0, mate=0, found=[], mates=[])


if __name__ == "__main__":
    unittest.main()
