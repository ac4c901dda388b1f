"""``align``, ``certificate``, ``latency`` and ``profile guess``, run as their users run them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.bags import PROFILE, small_robot
from support.pictures import pixels

from robot_recorder.cli.main import main
from robot_recorder.configuration.profile import parse_profile


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    facts = {"profile_yaml": PROFILE, "episode_id": "small_1", "namespace": "/"}
    return small_robot(tmp_path_factory.mktemp("cli") / "small_1", 4, 0.0, "/", **facts)


def test_align_writes_a_table_and_says_how_good_it_is(bag: Path, tmp_path: Path, capsys) -> None:
    assert main(["align", str(bag), "--rate", "25", "--out", str(tmp_path / "x.npz")]) == 0
    out = capsys.readouterr().out
    assert "frames at 25 Hz, 100.0% complete" in out and "x real time" in out
    assert "joints" in out and "camera" in out
    table = np.load(tmp_path / "x.npz")
    assert len(table["tick_ns"]) > 95 and table["joints.values"].shape[1] == 2


def test_align_takes_several_bags_and_a_reference(bag: Path, tmp_path: Path, capsys) -> None:
    arguments = ["--reference", "/camera/image/compressed", "--out", str(tmp_path / "tables")]
    other = small_robot(tmp_path / "small_2", 2, profile_yaml=PROFILE)
    assert main(["align", str(bag), str(other), *arguments, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 2 and lines[0]["reference"] == "camera"
    assert lines[0]["streams"]["camera"]["skew_max_ms"] == 0
    assert Path(lines[0]["table"]) == tmp_path / "tables" / "small_1.npz"
    assert main(["align", str(bag), str(bag), "--out", str(tmp_path / "one.npz")]) == 2
    assert "give a folder" in capsys.readouterr().err
    nothing = str(tmp_path / "nothing")
    assert main(["align", nothing, str(bag), str(bag), "--out", str(tmp_path / "again")]) == 2
    printed = capsys.readouterr()
    assert "does not exist" in printed.err and "another bag of this name" in printed.err
    assert (tmp_path / "again" / "small_1.npz").exists()


def test_what_can_not_be_aligned_is_refused_by_name(bag: Path, tmp_path: Path, capsys) -> None:
    for arguments, words in (
        ([str(bag), "--reference", "nose"], "'nose' is no aligned stream"),
        ([str(tmp_path / "nothing")], "does not exist"),
        ([str(bag), "--profile", "nobody"], "no profile 'nobody'"),
    ):
        assert main(["align", *arguments, "--out", str(tmp_path)]) == 2
        assert words in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["align", str(bag), "--rate", "-3"])


def test_a_bag_without_a_profile_is_aligned_by_a_guess(tmp_path: Path, capsys) -> None:
    bare = small_robot(tmp_path / "bare", 2)
    assert main(["align", str(bare)]) == 0
    assert "guessed one" in capsys.readouterr().out
    assert (tmp_path / "bare.npz").exists(), "beside the bag"
    assert main(["profile", "guess", str(bare)]) == 0
    text = capsys.readouterr().out
    profile = tmp_path / "mine.yaml"
    profile.write_text(text.replace("rate_hz: 20\n", "rate_hz: 20\n    latency_ms: 5\n"))
    assert parse_profile(profile.read_text(), "x").robot == "bare"
    assert main(["align", str(bare), "--profile", str(profile)]) == 0
    assert "guessed" not in capsys.readouterr().out


def test_a_certificate_is_read_and_drawn(bag: Path, tmp_path: Path, capsys) -> None:
    assert main(["certificate", str(bag), "--picture", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "79 frames" in out or "80 frames" in out or "78 frames" in out
    image = pixels(tmp_path / "small_1.sync.png")
    assert image.shape[1] == 1500 and image.shape[0] > 300
    blue = (image[..., 0] > 150) & (image[..., 2] < 60)
    assert blue.sum() > 200, "the skew of fresh samples"
    assert main(["certificate", str(bag), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["streams"]["wrench"]["count"] == 400


def test_latency_is_estimated_and_proposed(tmp_path: Path, capsys) -> None:
    late = small_robot(tmp_path / "late", 20, camera_late_s=0.04, profile_yaml=PROFILE)
    assert main(["latency", str(late), "--reference", "joints"]) == 0
    out = capsys.readouterr().out
    assert "camera: latency_ms: " in out
    assert main(["latency", str(late), "--reference", "joints", "--json"]) == 0
    found = {e["stream"]: e for e in json.loads(capsys.readouterr().out)}
    assert abs(found["camera"]["remaining_ms"] - 40) < 3 and found["camera"]["known"]
