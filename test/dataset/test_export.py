"""Exported tables of frames, read with other code than wrote them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.bags import PROFILE, small_robot

from robot_recorder.cli.main import main


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_every_frame_is_in_the_table(tmp_path: Path, suffix: str, capsys) -> None:
    bag = small_robot(tmp_path / "bag", 4, profile_yaml=PROFILE)
    target = tmp_path / f"table{suffix}"
    assert main(["align", str(bag), "--rate", "25", "--out", str(target)]) == 0
    told = int(capsys.readouterr().out.split(f"{target}: ")[1].split(" frames")[0])
    assert told > 90
    if suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        assert parquet.ParquetFile(target).metadata.num_rows == told
        return
    with zipfile.ZipFile(target) as archive, archive.open("tick_ns.npy") as file:
        version = np.lib.format.read_magic(file)
        assert version == (1, 0)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
    assert shape == (told,)
