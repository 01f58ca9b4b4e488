"""Qdrant's engine finds the faces, by its codes and by float32, one at a time and a photo at once."""

import tempfile
import unittest
from pathlib import Path

import numpy as np

from checks.test_truth import write_gallery
from peer_runner.gallery import Gallery
from peer_runner.system import Setting

try:
    from peer_runner.qdrant_peer import QdrantPeer
except ImportError as error:
    raise unittest.SkipTest("qdrant-edge-py is not installed") from error

FACES, PROBES, DIMENSION = 1500, 20, 64


class QdrantTests(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        random = np.random.default_rng(11)
        faces = random.normal(size=(FACES, DIMENSION))
        probes = faces[:PROBES] + 0.2 * random.normal(size=(PROBES, DIMENSION))
        persons = [f"person-{row}" for row in range(FACES)]
        write_gallery(folder, faces, probes, persons, persons[:PROBES])
        gallery = Gallery(folder)
        self.peer = QdrantPeer(gallery, folder, 10)
        self.addCleanup(self.peer.close)
        self.exact = np.argsort(-(gallery.probes @ gallery.rows(0, FACES).T), axis=1)[:, :10]

    def recall(self, setting: Setting, batch: int) -> float:
        rows = self.peer.search(0, PROBES, setting, batch).rows
        return (
            float(np.mean([len(set(found) & set(exact)) for found, exact in zip(rows, self.exact, strict=True)])) / 10
        )

    def test_more_effort_finds_more_and_codes_are_rescored(self) -> None:
        by_codes, by_float32 = self.peer.sweeps()
        for batch in (1, PROBES):
            most = self.recall(by_codes[-1][-1], batch)
            self.assertGreater(most, 0.99)
            self.assertLess(self.recall(by_codes[0][0], batch), most)
            self.assertGreater(self.recall(by_float32[0][-1], batch), 0.99)

    def test_a_photo_is_answered_as_its_probes_are(self) -> None:
        setting = self.peer.sweeps()[0][3][0]
        alone, together = (self.peer.search(0, PROBES, setting, batch).rows for batch in (1, PROBES))
        np.testing.assert_array_equal(alone, together)

    def test_the_footprint_is_known(self) -> None:
        footprint = self.peer.footprint()
        self.assertGreater(footprint.disk_bytes, FACES * DIMENSION * 5)
        self.assertGreater(footprint.restart_s, 0)


if __name__ == "__main__":
    unittest.main()
