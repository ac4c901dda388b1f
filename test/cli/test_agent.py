"""The command ``agent``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.episodes import make_episode

from robot_recorder.cli.main import main
from robot_recorder.floor.agent.outbox import Outbox, SeenEpisode
from robot_recorder.floor.manifest import FileFact, Manifest
from robot_recorder.floor.store import open_store

MANIFEST = Manifest((FileFact("a.mcap", 5, "0" * 64),))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two episodes: one is sent, of the other the centre has the metadata."""
    store = open_store(tmp_path / "root")
    names = [make_episode(store, 60.0 * n).name for n in range(2)]
    outbox = Outbox(tmp_path / "root")
    for name in names:
        outbox.see(name, SeenEpisode(1, 2, "", 2_500_000, "m"))
    outbox.offer([(name, "m") for name in names])
    outbox.upload(names[0], MANIFEST, "f")
    outbox.store(names[0])
    outbox.close()
    return tmp_path / "root"


def test_status_shows_what_is_how_far(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agent", "status", str(root)]) == 0
    out = capsys.readouterr().out
    assert "stored" in out and "offered" in out
    assert "waiting: 1 episode, 2.5 MB; last sent: never" in out
    assert "no agent is running" in out


def test_status_as_json_says_null_for_what_is_unknown(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["agent", "status", str(root), "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["states"]["stored"] == {"episodes": 1, "bytes": 2_500_000}
    assert plain["running"] is False and plain["alarms"] is None and plain["sent_ns"] is None


def test_a_problem_is_a_finding_and_cannot_steer_the_terminal(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outbox = Outbox(root)
    name = outbox.rows()[0].name
    outbox.trouble(name, "bad\x1b[2J")
    outbox.close()
    assert main(["agent", "status", str(root)]) == 1
    assert rf"{name}: bad\x1b[2J" in capsys.readouterr().out


def test_send_puts_an_episode_first_and_says_what_was_sent_already(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sent, waiting = (path.name for path in open_store(root).paths())
    assert main(["agent", "send", str(root), sent, waiting]) == 0
    assert capsys.readouterr().out == f"{sent}: was sent already\n{waiting}: is next\n"
    outbox = Outbox(root)
    assert [row.name for row in outbox.rows() if row.is_asked] == [waiting]
    outbox.close()


def test_an_unknown_id_and_a_root_without_an_agent_are_refused(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["agent", "send", str(root), "nothing"]) == 2
    assert "no episode 'nothing'" in capsys.readouterr().err
    (tmp_path / "bare").mkdir()
    assert main(["agent", "status", str(tmp_path / "bare")]) == 2
    assert "no agent has sent anything" in capsys.readouterr().err
    assert not (tmp_path / "bare/.agent").exists()
    assert main(["agent", "status", str(tmp_path / "missing")]) == 2


def test_a_wrong_configuration_is_refused_with_its_line(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "agent.yaml").write_text("centre: https://c\nsyte: berlin\n")
    assert main(["agent", str(root), "--config", str(tmp_path / "agent.yaml")]) == 2
    assert "agent.yaml:2: unknown key 'syte'; did you mean 'site'" in capsys.readouterr().err
    assert main(["agent", str(root), "--config", str(tmp_path / "none.yaml")]) == 2


def test_a_status_file_of_somebody_else_breaks_nothing(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("", "[]", '{"at_ns": "x"}', "[" * 100_000):
        (root / ".agent/status.json").write_text(text)
        assert main(["agent", "status", str(root)]) == 0
        assert "no agent is running" in capsys.readouterr().out


def test_once_says_why_nothing_goes_on(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robot_recorder.floor.agent.link._PATIENCE_S", 0.1)
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("a-token-of-this-robot")
    key = "A" * 43 + "="
    (tmp_path / "agent.yaml").write_text(
        f"centre: http://127.0.0.1:1\nsite: s\nrobot: arm\ntoken: token\npublic_keys: [{key}]\n"
    )
    code = main(["agent", str(root), "--config", str(tmp_path / "agent.yaml"), "--once"])
    said = capsys.readouterr()
    assert code == 1 and "the centre cannot be reached: 127.0.0.1:1 does not answer" in said.err
    assert "2 episodes not acknowledged" in said.err
