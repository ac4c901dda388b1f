"""Runs readers of datasets, test/datasets/readers/, where their libraries are installed."""

from __future__ import annotations

import ctypes.util
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
READERS = ROOT / "test" / "datasets" / "readers"
STANDIN = ROOT / "test" / "datasets" / "standin"
DECODERS = ("torchcodec", "pyav")
_TIMEOUT_S = 600.0


def run_reader(name: str, *arguments: str | Path | int) -> dict[str, Any]:
    """Run a reader and return what it prints; skip the test if its libraries are not installed.

    Args:
        name: of the script in test/datasets/readers/, without .py.
        arguments: of the script; its docstring tells them.

    Raises:
        AssertionError: the reader failed; of the errors that it tells the first is the cause.
    """
    command = [str(interpreter(name)), str(READERS / f"{name}.py"), *map(str, arguments)]
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            command, cwd=scratch, env=environment(scratch), capture_output=True, text=True,
            timeout=_TIMEOUT_S,
        )  # fmt: skip
    assert done.returncode == 0, f"{name} failed:\n{done.stderr[-10_000:]}"
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def interpreter(name: str) -> Path:
    """Return the Python that a reader runs in; skip the test if it is not installed."""
    rlds = name == "read_rlds"
    home = ROOT / ".cache" / ("datasets-tf" if rlds else "datasets")
    if not (home / ".installed").exists():
        command = "python3 tools/bootstrap.py --datasets-tf" if rlds else "make test-datasets"
        pytest.skip(f"the readers are not installed: {command}")
    return home / "bin" / "python"


def environment(scratch: str) -> dict[str, str]:
    """Return the variables of a reader: no network, one thread, and caches that die with it.

    A cache that is kept would show LeRobot the table of an earlier dataset in the same place.
    """
    return os.environ | {
        "PYTHONPATH": str(STANDIN), "HF_HOME": scratch, "XDG_CACHE_HOME": scratch,
        "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def need_decoder(name: str) -> None:
    """Skip the test if LeRobot cannot decode video with one of ``DECODERS`` on this machine."""
    if name == "torchcodec" and not ctypes.util.find_library("avcodec"):
        pytest.skip("torchcodec needs ffmpeg: sudo apt-get install ffmpeg")
