"""``certificate``: printed, as JSON, and drawn.

Holds also: certificate_table.py, report/sync_picture.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from support.pictures import pixels

from robot_recorder.cli.main import main
from robot_recorder.floor.store import open_store


def test_a_certificate_is_read_and_drawn(small_bag: Path, tmp_path: Path, capsys) -> None:
    assert main(["certificate", str(small_bag), "--picture", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "79 frames" in out or "80 frames" in out or "78 frames" in out
    image = pixels(tmp_path / "small_1.sync.png")
    assert image.shape[1] == 1500 and image.shape[0] > 300
    blue = (image[..., 0] > 150) & (image[..., 2] < 60)
    assert blue.sum() > 200, "the skew of fresh samples"
    assert main(["certificate", str(small_bag), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["streams"]["wrench"]["count"] == 400


def test_invalid_facts_are_named_and_hide_nothing(crashed_root: Path, capsys) -> None:
    for path, key in zip(open_store(crashed_root).paths(), ("sync", "start_ns")):
        metadata = path / "metadata.yaml"
        content = yaml.safe_load(metadata.read_text())
        content["rosbag2_bagfile_information"]["custom_data"][key] = "{rubbish: ["
        metadata.write_text(yaml.safe_dump(content))
        assert main(["certificate", str(path)]) == (2 if key == "sync" else 0)
        assert main(["episodes", str(crashed_root)]) == 0
        printed = capsys.readouterr()
        assert f"unreadable: {path}/metadata.yaml: '{key}' of custom_data" in printed.out
        assert "arm_20260101T000001_000" in printed.out or key == "start_ns"
