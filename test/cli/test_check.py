"""``robot-recorder check`` over many episodes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from support.bags import PROFILE, small_robot
from support.cases import T0, TYPES, write_bag

from robot_recorder.cli.main import main
from robot_recorder.episodes.episode import Episode
from robot_recorder.floor.store import open_store
from robot_recorder.quality.verdict import Verdict

STEADY = PROFILE.replace("streams:", "quality: {camera_blurred: off}\nstreams:", 1)


def episode(root: Path, name: str, seconds: float = 3.0, **more: str) -> Path:
    """A small robot's, with its profile inside."""
    return small_robot(root / name, seconds, 0.0, "/", profile_yaml=STEADY, namespace="/", **more)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    episode(tmp_path, "good")
    episode(tmp_path, "bad", error="No space left on device")
    return tmp_path


def test_verdicts_findings_and_exit_codes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(root / "good")]) == 0
    assert "accept" in capsys.readouterr().out
    assert main(["check", str(root)]) == 1
    printed = capsys.readouterr().out
    assert "bad: reject" in printed and "good: accept" in printed
    assert "fail incomplete: was aborted: No space left on device" in printed
    assert "2 episodes: 1 accept, 1 reject" in printed


def test_json_is_for_scripts(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", str(root)]) == 1
    found = {Path(e["path"]).name: e for e in json.loads(capsys.readouterr().out)}
    assert found["good"]["verdict"] == "accept" and found["good"]["problems"] == []
    assert found["bad"]["reasons"] == ["incomplete"]
    assert found["bad"]["findings"][0]["level"] == "fail"


def test_many_are_checked_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(6):
        episode(tmp_path, f"e{number}", 2.0)
    (tmp_path / "e3" / "metadata.yaml").write_text("rubbish")
    assert main(["check", "--jobs", "2", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert printed.count(": accept") == 5 and "e3/metadata.yaml cannot be read" in printed
    assert "6 episodes: 5 accept, 1 unreadable" in printed


def test_all_shows_what_passed_too(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "--all", str(root / "good")])
    assert "pass joint_jump joints: jumped 0 times" in capsys.readouterr().out


def test_save_keeps_the_verdict_and_touches_no_data(root: Path) -> None:
    path = root / "bad"
    data = {p.name: p.read_bytes() for p in path.glob("*.mcap")}
    assert Episode.open(path).quality.verdict is Verdict.UNKNOWN
    assert main(["check", "--save", str(path)]) == 1
    saved = Episode.open(path)
    assert saved.facts["verdict"] == "reject" and saved.quality.reasons == ["incomplete"]
    assert {p.name: p.read_bytes() for p in path.glob("*.mcap")} == data


@pytest.mark.parametrize(
    ("fact", "rubbish"),
    [("labels", '[{"kind": "task", "stamp_ns": 1%s}]' % ("0" * 30)), ("sync", '{"frames": "x"}'),
     ("pre_roll_s", "soon"), ("streams", '{"/joint_states": {"written": 1, "lost": {"dds": ""}}}')],
)  # fmt: skip
def test_an_invalid_fact_is_named_and_the_rest_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fact: str, rubbish: str
) -> None:
    episode(tmp_path, "odd", 3.0, **{fact: rubbish})
    assert main(["check", str(tmp_path / "odd")]) == 0
    printed = capsys.readouterr().out
    assert "odd: accept" in printed
    assert f"'{fact}' of custom_data is invalid" in printed


def test_a_profile_can_be_given(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = yaml.safe_load(STEADY)
    profile["streams"]["lidar"] = {
        "topic": "lidar", "type": "sensor_msgs/msg/LaserScan", "role": "observation", "rate_hz": 10,
    }  # fmt: skip
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(profile))
    assert main(["check", "--profile", str(tmp_path / "p.yaml"), str(root / "good")]) == 1
    assert "stream_missing lidar" in capsys.readouterr().out


def test_losses_are_no_damaged_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    streams = {"/joint_states": {"written": 300, "lost": {"dds": 2}}}
    episode(tmp_path, "lossy", streams=json.dumps(streams))
    episode(tmp_path, "good")
    assert main(["check", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "recording: /joint_states lost 2 messages while recording (dds)" in printed
    assert "  file:" not in printed and "with damaged" not in printed
    assert "2 episodes: 1 accept, 1 review; 1 not recorded without losses" in printed


def test_an_exit_code_of_1_has_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = TYPES["std_msgs/msg/String"](data="hello")
    bag = write_bag(tmp_path / "words", {"/words": "std_msgs/msg/String"}, [("/words", T0, text)])
    assert main(["check", str(bag)]) == 1
    printed = capsys.readouterr().out
    assert (
        "unknown" in printed and "not checked: " in printed and "to guess a profile from" in printed
    )


def test_a_stranger_s_bag_is_checked_as_far_as_it_is_understood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = small_robot(tmp_path / "stranger", 3.0, prefix="/lab/arm/")
    main(["check", "--json", str(bag)])
    (found,) = json.loads(capsys.readouterr().out)
    assert {"joint_jump", "camera_black", "gap"} <= set(found["passed"]) and not found["problems"]


def test_check_finds_a_broken_bag(crashed_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, broken = open_store(crashed_root).paths()
    data = next(broken.glob("*.mcap"))
    data.write_bytes(data.read_bytes()[:5000])
    assert main(["check", str(good), str(broken)]) == 1
    printed = capsys.readouterr().out
    assert f"{good}: accept" in printed and "metadata.yaml says 100" in printed
