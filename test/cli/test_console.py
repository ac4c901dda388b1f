"""``console`` and ``console user``: what is checked before the server runs, and the users file."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("argon2")
from argon2 import PasswordHasher

from robot_recorder.cli.main import main
from robot_recorder.configuration.users import UserRole, load_users


def add(monkeypatch: pytest.MonkeyPatch, password: str, *words: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))
    return main(["console", "user", *words, "--password-stdin"])


def test_a_user_is_added_with_a_hash_and_changed_without_losing_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "users.yaml"
    assert add(monkeypatch, "correct horse", "ann", "--users", str(file)) == 0
    assert add(monkeypatch, "battery staple", "李", "--role", "admin", "--users", str(file)) == 0
    assert (
        add(monkeypatch, "another horse", "ann", "--role", "inspector", "--users", str(file)) == 0
    )
    assert "ann (inspector) is changed" in capsys.readouterr().out
    users = load_users(file)
    assert {name: user.role for name, user in users.items()} == {
        "ann": UserRole.INSPECTOR,
        "李": UserRole.ADMIN,
    }
    assert PasswordHasher().verify(users["ann"].hashed, "another horse")
    assert file.stat().st_mode & 0o077 == 0 and "horse" not in file.read_text()


@pytest.mark.parametrize("password, words, told", [
    ("short", ["ann"], "fewer than 8"),
    ("long enough", ["a\x1b[2Jb"], "not allowed"),
    ("long enough", ["ann", "--users", "/nowhere/users.yaml"], "/nowhere/users.yaml cannot be written"),
])  # fmt: skip
def test_what_is_wrong_with_a_user_is_said_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    password: str, words: list[str], told: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert add(monkeypatch, password, *words) == 2
    assert told in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_the_server_gets_every_option_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rclpy")
    pytest.importorskip("fastapi")
    ran: list[list[str]] = []

    class RanError(Exception):
        """Instead of the program that would take this one's place."""

    def execv(path: str, command: list[str]) -> Any:
        ran.append(command)
        raise RanError

    monkeypatch.setattr(os, "execv", execv)
    words = ["console", str(tmp_path), "--profile", "007", "--port", "0", "--users", "users.yaml",
             "--allowed-host", "a.example", "--allowed-host", "b.example", "--namespace", "/robot_07"]  # fmt: skip
    from robot_recorder.cli.commands import parser_for

    options = parser_for(words).parse_args(words)
    with pytest.raises(RanError):
        options.run(options)
    given = dict(
        word.split(":=", 1) for word in ran[0] if ":=" in word and not word.startswith("_")
    )
    assert given["profile"] == '"007"' and given["port"] == "0"
    assert given["allowed_hosts"] == '"a.example,b.example"'
    assert given["users"] == f'"{Path.cwd() / "users.yaml"}"' and "__ns:=/robot_07" in ran[0]
