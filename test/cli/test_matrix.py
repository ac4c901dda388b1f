"""Every command says the same of the same bag: cases of test/support/cases.py times commands."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from pathlib import Path

import pytest
from support.cases import CASES, COMMANDS, Case, Says

from robot_recorder.cli.main import main
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import RecorderError
from robot_recorder.playback.selection import choose
from robot_recorder.playback.timeline import messages

_FAILED = re.compile(r"Traceback|\w+Error:")


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Cases that have been made: each once."""
    return {}


@pytest.fixture
def made(bags: dict[str, Path], tmp_path_factory: pytest.TempPathFactory):
    def make(case: Case) -> Path:
        if case.name not in bags:
            bags[case.name] = case.make(tmp_path_factory.mktemp(case.name))
        return bags[case.name]

    return make


def run(command: str, path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> Says:
    """Exit code and everything that was printed."""
    if command == "view" and importlib.util.find_spec("rerun") is None:
        pytest.skip("rerun is not installed here")
    if command == "play":
        return play(path)
    arguments = {
        "check": ["check", str(path)],
        "show": ["show", str(path), "--out", str(out)],
        "view": ["view", str(path), "--save", str(out / "x.rrd")],
        "align": ["align", str(path), "--out", str(out / "x.npz")],
        "certificate": ["certificate", str(path)],
        "profile guess": ["profile", "guess", str(path)],
        "episodes": ["episodes", str(path.parent)],
        "label": ["label", str(path), "--by", "ann", "--success"],
        "recover": ["recover", str(path)],
    }[command]
    code = main(arguments)
    printed = capsys.readouterr()
    return Says(code, (printed.out + printed.err,))


def play(path: Path) -> Says:
    """What the player plays, without the middleware."""
    try:
        episode = Episode.open(path)
        choice = choose(episode)
    except RecorderError as error:
        return Says(2, (f"error: {error}\n",))
    told = [f"not played: {name}: {why}" for name, why in choice.unplayable.items()]
    count = 0
    try:
        for _ in messages(episode.path, {topic.name for topic in choice.topics}):
            count += 1
    except RecorderError as error:
        told.append(str(error))
    code = int(count < sum(choice.topics.values()) or len(told) > len(choice.unplayable))
    return Says(code, ("\n".join([f"{count} messages of {sum(choice.topics.values())}", *told]),))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", CASES)
def test_a_case(
    name: str, command: str, made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    out, own = tmp_path / "out", tmp_path / "own"
    out.mkdir()
    own.mkdir()
    changes = command in ("label", "recover")
    path = case.make(own) if changes else made(case)
    found = run(command, path, out, capsys)
    (text,) = found.words
    assert not _FAILED.search(text), text
    expected = case.expected.get(command)
    if expected is None:
        return
    assert found.code == expected.code, text
    for word in expected.words:
        assert word in text, text
    for word in expected.never:
        assert word not in text, text
    if expected.code == 2:
        assert text.startswith("error: ") and text.count("\n") == 1, text


@pytest.mark.parametrize("name", [c.name for c in CASES.values() if c.messages is not None])
def test_every_command_counts_the_same(
    name: str, made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    path = made(case)
    assert play(path).words[0].startswith(f"{case.messages} messages of {case.messages}")
    assert sum(Episode.open(path).counts.values()) == case.messages
    main(["align", str(path), "--json", "--out", str(tmp_path / "x.npz")])
    streams = json.loads(capsys.readouterr().out.splitlines()[-1])["streams"]
    assert sum(stream["count"] for stream in streams.values()) == case.messages
    main(["check", str(path), "--json"])
    (checked,) = json.loads(capsys.readouterr().out)
    assert checked["messages"] == case.messages


def test_a_case_does_not_depend_on_where_it_is_called_from(
    made, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(CASES["plain"])
    monkeypatch.chdir(path)
    assert os.getcwd() == str(path.resolve())
    assert main(["check", "."]) == 0
    assert "accept" in capsys.readouterr().out
