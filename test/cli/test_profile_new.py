"""``profile new``, in a real terminal, with a person who answers.

Holds also: profile_edit.py, prompts.py
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from support.terminal import typing
from support.vendor import LOW_COMMAND, LOW_STATE, low_command, low_state, vendor_bag

from robot_recorder.cli.main import main
from robot_recorder.cli.profile_edit import split_names
from robot_recorder.cli.profile_new import consistent
from robot_recorder.cli.prompts import Interrupted, ask, choose
from robot_recorder.configuration.find import load_profile
from robot_recorder.offline.profile_draft import DraftStream

LETTERS = "abcdefghijklmnopqrstuvwxyzABC"


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return vendor_bag(tmp_path / "g1", {
        "/lowstate": ("unitree_hg/msg/LowState", LOW_STATE, low_state, 100),
        "/lowcmd": ("unitree_hg/msg/LowCmd", LOW_COMMAND, low_command, 50),
        "/battery": ("acme/msg/Battery", "float32 volts\n", lambda n, t: {"volts": 48.0}, 1),
    })  # fmt: skip


def test_a_person_confirms_skips_and_edits_with_a_look_at_the_numbers(
    tmp_path: Path, bag: Path
) -> None:
    file = tmp_path / "mine.yaml"
    with typing("profile", "new", file, "--bag", bag) as person:
        person.answer("name of the robot", "g1_7")
        person.answer(r"keep lowcmd\?")
        person.until(r"29 joints, rad: joint_0 ")
        first = person.until(r"joint_1 (-?[\d.]+)")[1]
        person.until(rf"joint_1 (?!{first})-?[\d.]+")  # while nothing is typed
        person.answer("", "e")
        person.answer("  name ", "body")
        person.answer("  role ")
        person.answer("  rate, Hz", "100")
        person.answer("  required ")
        person.answer("  as ")
        person.answer("  unit ")
        person.answer("  names ", "too, few")
        person.until("2 names for 29 positions")
        person.answer("  names ", ", ".join(LETTERS))
        person.answer(r"keep body\?")
        person.answer(r"keep lowstate_imu_state\?", "s")
        person.answer(r"/battery \(acme/msg/Battery\)[\s\S]*as context", "yes")
        assert person.ended() in (0, 2), person.shown
    profile = load_profile(str(file))
    assert profile.robot == "g1_7"
    streams = {s.name: s for s in profile.streams}
    assert set(streams) == {"lowcmd", "body", "battery"} and streams["lowcmd"].of == "body"
    body, lowcmd = streams["body"], streams["lowcmd"]
    assert body.mapping is not None and body.mapping.names == tuple(LETTERS)
    assert lowcmd.mapping is not None
    assert lowcmd.mapping.names == tuple(LETTERS), "as the profile says: same_as body"
    assert "not installed" in person.shown, "the check at the end names what is missing here"


def test_ctrl_c_keeps_what_is_there(tmp_path: Path, bag: Path) -> None:
    file = tmp_path / "mine.yaml"
    with typing("profile", "new", file, "--bag", bag) as person:
        person.answer("name of the robot")
        person.until(r"keep \w+\?")
        person.press("\x03")
        assert person.ended() == 130
    assert not file.exists()
    partial = load_profile(str(tmp_path / "mine.yaml.partial"))
    assert {"lowcmd", "lowstate"} <= {s.name for s in partial.streams}
    assert "not confirmed" in partial.text and "mine.yaml.partial" in person.shown


def answered(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_answers_can_come_from_a_pipe(
    tmp_path: Path, bag: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    file = tmp_path / "mine.yaml"
    answered(monkeypatch, str(bag), "", "a", "no", "no")
    main(["profile", "new", str(file)])
    assert len(load_profile(str(file)).streams) >= 3
    answered(monkeypatch, "no")
    assert main(["profile", "new", str(file)]) == 130, "it exists"
    assert "nothing was changed" in capsys.readouterr().out
    answered(monkeypatch)
    assert main(["profile", "new", str(tmp_path / "other.yaml")]) == 130
    assert not (tmp_path / "other.yaml").exists()
    assert main(["profile", "new", "--live", "--bag", str(bag)]) == 2


def test_another_meaning_is_asked_for_until_it_reads_the_messages(
    tmp_path: Path, bag: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    file = tmp_path / "mine.yaml"
    edit = [
        "e",
        "hip",
        "observation",
        "-1",
        "60",
        "no",
        "pose",
        "no_such",
        "",
        "numbers",
        "motor_state[0].q",
        "raw",
        "",
        "a",
    ]
    answered(monkeypatch, "", "s", *edit, "no", "no")
    main(["profile", "new", str(file), "--bag", str(bag)])
    printed = capsys.readouterr().out
    assert "'-1' is not a rate" in printed and "has no field no_such" in printed
    hip = next(s for s in load_profile(str(file)).streams if s.name == "hip")
    assert (hip.rate_hz, hip.required) == (60, False)
    assert hip.mapping is not None and hip.mapping.meaning.value == "numbers"


def test_words_can_be_shortened_and_the_end_of_input_interrupts(monkeypatch, capsys) -> None:
    answered(monkeypatch, "x", "no", "")
    assert choose("role", ("observation", "none"), "observation") == "none"
    assert "'x' is none of" in capsys.readouterr().out
    assert ask("rate", "5") == "5"
    with pytest.raises(Interrupted):
        ask("more")


def test_names_come_from_a_list_or_a_file(tmp_path: Path) -> None:
    assert split_names("a, 'b' ,c,") == ["a", "b", "c"]
    (tmp_path / "names.txt").write_text("one\ntwo\n\n")
    assert split_names(str(tmp_path / "names.txt")) == ["one", "two"]


def test_nothing_names_a_stream_that_was_skipped() -> None:
    command = DraftStream("command", "/c", "a/msg/B", "action", 9.0, of="body")
    command.meaning, command.map = "joint_state", {"names": "same_as body", "position": "q"}
    (found,) = consistent([command])
    assert found.of == "" and "names" not in found.map
