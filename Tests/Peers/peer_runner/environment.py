"""The virtual environment with the peers. Standard library only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from peer_runner.failure import Failure


class Environment:
    """A virtual environment in `folder`, with numpy and every peer that installs."""

    packages = ["numpy", "faiss-cpu", "scann", "hnswlib", "qdrant-edge-py"]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin/python"

    def install(self) -> None:
        """Makes the environment and installs what is missing, a package at a time: one that fails is left out."""
        if not self.python.exists():
            self._make()
        # Asked without pip, which takes a second a package.
        present = (
            self._run(self.python, "-c", "import importlib.metadata as m; print(*(d.name for d in m.distributions()))")
            .stdout.replace("_", "-")
            .split()
        )
        refused = self._refused()
        for package in self.packages:
            if package in present or package in refused:
                continue
            print(f"installing {package}", file=sys.stderr)
            result = self._run(self.python, "-m", "pip", "install", "--quiet", package)
            if result.returncode == 0:
                continue
            if package == "numpy":
                raise Failure(f"numpy does not install: {_last_line(result.stderr)}")
            print(f"{package} does not install and is left out: {_last_line(result.stderr)}", file=sys.stderr)
            refused.append(package)
        (self.folder / "refused.txt").write_text("".join(f"{package}\n" for package in refused))

    @staticmethod
    def variables() -> dict[str, str]:
        """This process's environment for one thread (a build asks for more by itself) and the fastest OpenBLAS.

        Faiss's own copy of OpenBLAS takes an Ice Lake or a Zen 5 for a Prescott and does 13 and 37 GFLOPS,
        87 and 101 when told what the processor has. Coarse quantizers, PCA and k-means hang on it. What the
        environment says of it gives way: a machine that is told to be a Haswell for its builds' sake does 72.
        """
        variables = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        flags = set(Path("/proc/cpuinfo").read_text().split())
        if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags:
            variables["OPENBLAS_CORETYPE"] = "SkylakeX"
        elif {"avx2", "fma"} <= flags:
            variables["OPENBLAS_CORETYPE"] = "Haswell"
        return os.environ | variables

    def _refused(self) -> list[str]:
        """Packages that did not install before: a second run does not try again; delete the file to do so."""
        file = self.folder / "refused.txt"
        return file.read_text().split() if file.exists() else []

    def _make(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        result = self._run(sys.executable, "-m", "venv", str(self.folder))
        if result.returncode != 0 and os.geteuid() == 0 and Path("/etc/debian_version").exists():
            # Debian's Python comes without ensurepip until this package is there.
            self._run("apt-get", "install", "--yes", "python3-venv")
            result = self._run(sys.executable, "-m", "venv", "--clear", str(self.folder))
        if result.returncode != 0:
            raise Failure(f"{self.folder} cannot be made; on Debian install python3-venv: {_last_line(result.stdout)}")

    @staticmethod
    def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, check=False)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason given"
