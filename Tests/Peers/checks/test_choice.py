"""The cheapest setting is found, whatever the shape of the grid."""

import unittest
from collections import Counter

import numpy as np

from peer_runner.choice import Level, Trials, border, first_index
from peer_runner.system import Footprint, Pass, Setting, Sweep, System, steps
from peer_runner.truth import Quality

QUALITY = Level("recall", 0.9, lambda quality: quality.recall, lambda quality: quality.count)


class FirstIndexTests(unittest.TestCase):
    def test_finds_every_border(self) -> None:
        for place in range(8):
            self.assertEqual(first_index(7, lambda index, place=place: index >= place), place)


class BorderTests(unittest.TestCase):
    def test_finds_every_border_from_every_guess(self) -> None:
        for place in range(8):
            for guess in range(7):
                with self.subTest(border=place, guess=guess):
                    self.assertEqual(border(guess, 7, lambda index, place=place: index >= place), place)


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

    def test_a_setting_that_cannot_reach_the_level_any_more_is_given_up(self) -> None:
        # A tenth may be lost, so that five photos on which every probe fails tell of 4000 probes.
        system = GridSystem(lambda lists, depth: lists + depth)
        self.choose(system, probe_count=4000)
        self.assertGreaterEqual(system.searched[1, 8], 4000)
        self.assertEqual(system.searched[1, 4], 500)

    def test_a_setting_that_is_too_dear_is_given_up(self) -> None:
        # Many lists alone take so long that the family cannot be the best.
        system = GridSystem(lambda lists, depth: lists**4 + depth)
        self.assertEqual(self.choose(system, probe_count=4000), Setting("", (1, 8)))
        self.assertLessEqual(system.searched[4, 4], 100)
        self.assertNotIn((8, 1), system.searched)

    def test_what_suffices_for_the_first_probes_only_is_not_taken(self) -> None:
        # From probe 300 on two more are needed: the screening finds a reach of 9, all probes one of 11.
        system = GridSystem(lambda lists, depth: lists + 3 * depth, harder_from=300)
        self.assertEqual(self.choose(system, probe_count=4000), Setting("", (8, 4)))

    def test_all_probes_decide_where_the_first_ones_mislead(self) -> None:
        # The hard ones come first: none suffices for the screening, and for all a tenth may be lost.
        system = GridSystem(lambda lists, depth: lists + 3 * depth, harder_before=300, harder_by=100)
        self.assertEqual(self.choose(system, probe_count=4000), Setting("", (8, 1)))

    @staticmethod
    def choose(system: "GridSystem", batch: int | None = None, probe_count: int = 8) -> Setting | None:
        photo = min(100, probe_count // 2)
        return Trials(system, OfferedQuality(system), probe_count, photo).choose(QUALITY, batch or photo)


class GridSystem(System):
    """Answers with the sum of its knobs, which `OfferedQuality` reads; some probes may need a larger sum."""

    key, name, version = "grid", "Grid", "1"

    def __init__(
        self, cost, reach: int = 9, *, harder_from: int | None = None, harder_before: int = 0, harder_by: int = 2
    ) -> None:
        self.cost, self.reach = cost, reach
        self.harder_from, self.harder_before, self.harder_by = harder_from, harder_before, harder_by
        self.searched: Counter[tuple[int, ...]] = Counter()

    def footprint(self) -> Footprint:
        return Footprint(None, None, 0, None, None)

    def reach_of(self, probe: int) -> int:
        is_hard = probe < self.harder_before or (self.harder_from is not None and probe >= self.harder_from)
        return self.reach + self.harder_by * is_hard

    def sweeps(self) -> list[Sweep]:
        return [[[Setting("", (lists, depth)) for depth in (1, 2, 4, 8)] for lists in (1, 2, 4, 8)]]

    def search(self, first: int, count: int, setting: Setting, batch: int) -> Pass:
        arguments = (*setting.values, batch)[: self.cost.__code__.co_argcount]
        time = self.cost(*arguments) * count
        self.searched[setting.values] += count
        return Pass(np.full((count, 1), sum(setting.values)), time, time)


class OfferedQuality:
    """Stands for the truth: the share of the probes that were offered their reach."""

    match_limit = 1

    def __init__(self, system: GridSystem) -> None:
        self.system = system

    def quality(self, answers, first: int = 0) -> Quality:
        right = [answer >= self.system.reach_of(probe) for probe, answer in enumerate(answers[:, 0], first)]
        return Quality(count=len(right), recall=sum(right) / len(right), mate=0, found=[], mates=[])


if __name__ == "__main__":
    unittest.main()
