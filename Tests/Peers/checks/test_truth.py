"""Answers are judged against exact search: ties, mates, bands, missing answers."""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np

from peer_runner.failure import Failure
from peer_runner.gallery import Gallery
from peer_runner.truth import BAND_FLOORS, Quality, Truth, exact_search

DIMENSION = 16


def write_gallery(folder: Path, faces, probes, persons: list[str], truth: list[str | None]) -> None:
    """The files of 'mien generate', with embeddings brought to unit length."""
    for name, rows in (("embeddings", faces), ("probes", probes)):
        rows = np.asarray(rows, dtype=np.float32)
        np.save(folder / f"{name}.npy", rows / np.linalg.norm(rows, axis=1, keepdims=True))
    (folder / "persons.txt").write_text("".join(f"{person}\n" for person in persons))
    lines = [{"probe": n, "mated": person is not None, "person": person} for n, person in enumerate(truth)]
    (folder / "probe-truth.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "gallery.json").write_text("{}")


class TruthTests(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        random = np.random.default_rng(7)
        self.faces = random.normal(size=(200, DIMENSION))
        # Faces 10 and 11 are one embedding; the probes are near faces 3, 10 and 50.
        self.faces[11] = self.faces[10]
        probes = self.faces[[3, 10, 50]] + 0.3 * random.normal(size=(3, DIMENSION))
        persons = [f"person-{row}" for row in range(200)]
        write_gallery(self.folder, self.faces, probes, persons, ["person-3", "person-10", None])
        self.gallery = Gallery(self.folder)
        self.rows, self.similarities = exact_search(self.gallery, depth=20, block_rows=64)

    def truth(self, match_limit: int) -> Truth:
        return Truth(self.gallery, match_limit, self.rows, self.similarities)

    def test_exact_search_over_blocks_is_exact(self) -> None:
        similarities = self.gallery.probes @ self.gallery.rows(0, 200).T
        expected = -np.sort(-similarities, axis=1)[:, :20]
        np.testing.assert_allclose(self.similarities, expected, atol=1e-6)
        np.testing.assert_allclose(np.take_along_axis(similarities, self.rows, axis=1), expected, atol=1e-6)

    def test_exact_answers_are_perfect(self) -> None:
        quality = self.truth(5).quality(self.rows[:, :5])
        self.assertEqual((quality.recall, quality.mate), (1, 1))

    def test_only_mates_that_exact_search_ranks_first_and_alone_are_counted(self) -> None:
        # Probe 1's mate ties with a stranger, probe 2 has no mate.
        quality = self.truth(5).quality(self.rows[:, :5])
        self.assertEqual(sum(quality.mates), 1)
        self.assertEqual(quality.mates[np.searchsorted(BAND_FLOORS, self.similarities[0, 0]) - 1], 1)

    def test_a_lost_match_and_a_lost_mate_are_seen(self) -> None:
        answers = self.rows[:, :5].copy()
        answers[0, 0] = -1
        quality = self.truth(5).quality(answers)
        self.assertAlmostEqual(quality.recall, 14 / 15)
        self.assertEqual(quality.mate, 0)

    def test_parts_make_the_whole(self) -> None:
        truth, answers = self.truth(5), self.rows[:, :5].copy()
        answers[0, 0] = -1
        parts = [truth.quality(answers[:1]), truth.quality(answers[1:], first=1)]
        together, whole = Quality.of_all(parts), truth.quality(answers)
        self.assertAlmostEqual(together.recall, whole.recall)
        self.assertEqual(
            (together.count, together.mate, together.found, together.mates),
            (whole.count, whole.mate, whole.found, whole.mates),
        )

    def test_an_equal_face_at_the_last_rank_counts(self) -> None:
        first = self.rows[1, 0]
        answers = self.rows[:, :1].copy()
        answers[1, 0] = 21 - first
        self.assertEqual({first, 21 - first}, {10, 11})
        self.assertEqual(self.truth(1).quality(answers).recall, 1)

    def test_a_face_returned_twice_counts_once(self) -> None:
        answers = np.repeat(self.rows[:, :1], 5, axis=1)
        answers[1, 1:] = self.rows[1, 0]
        self.assertAlmostEqual(self.truth(5).quality(answers).recall, 3 / 15)

    def test_saved_truth_is_read_for_fewer_probes_too(self) -> None:
        file = self.folder / "truth.npz"
        Truth.load(self.gallery, 5, file)
        answers = self.rows[:2, :5]
        self.assertEqual(Truth.load(Gallery(self.folder, 2), 5, file).quality(answers).recall, 1)


class GalleryTests(unittest.TestCase):
    def test_what_is_wrong_with_a_gallery_is_said(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with self.assertRaisesRegex(Failure, "embeddings.npy cannot be read"):
                Gallery(folder)
            rows = np.eye(4)
            write_gallery(folder, rows, np.eye(5)[:2], ["a"] * 4, ["a", "b"])
            with self.assertRaisesRegex(Failure, "probes.npy has dimension 5, embeddings.npy 4"):
                Gallery(folder)
            write_gallery(folder, rows, rows[:2], ["a"] * 3, ["a", "b"])
            with self.assertRaisesRegex(Failure, "4 embeddings but 3 persons"):
                Gallery(folder)
            write_gallery(folder, rows, rows[:2], ["a"] * 4, ["a", "b"])
            np.save(folder / "probes.npy", 2 * np.eye(4, dtype=np.float32))
            with self.assertRaisesRegex(Failure, "not of unit length"):
                Gallery(folder)


if __name__ == "__main__":
    unittest.main()
