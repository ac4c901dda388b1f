"""The command ``centre``: tokens, users, key, backups. Running it: test/floor/centre/test_server.py."""

from __future__ import annotations

from pathlib import Path

import pytest

for needed in ("fastapi", "uvicorn", "alembic", "psycopg", "cryptography", "argon2"):
    pytest.importorskip(needed)

from support.centres import DeskRobot, desk_in, take

from robot_recorder.cli.main import main


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> object:
    monkeypatch.chdir(tmp_path)

    def called(*words: str, code: int = 0) -> str:
        monkeypatch.setattr("sys.argv", ["robot-recorder", "centre", *words])
        with pytest.MonkeyPatch.context():
            try:
                got = main()
            except SystemExit as ended:
                got = int(ended.code or 0)
        said = capsys.readouterr()
        assert got == code, said
        return said.out.strip() if not code else said.err

    return called


def test_tokens_are_made_listed_and_revoked(run) -> None:  # type: ignore[no-untyped-def]
    secret = run("token", "add", "berlin", "arm", "--folder", "c")
    assert len(secret) >= 43 and "\n" not in secret
    listed = run("token", "list", "--folder", "c")
    assert "berlin  arm  valid" in listed and secret not in listed
    name = listed.split()[0]
    assert "no such valid token" in run("token", "revoke", "berlin", "leg", "--folder", "c", code=2)
    run("token", "revoke", "berlin", "arm", "--token", name, "--folder", "c")
    assert "revoked" in run("token", "list", "--folder", "c")


def test_without_tokens_it_says_how_to_make_one(run) -> None:  # type: ignore[no-untyped-def]
    assert "token add SITE ROBOT" in run("token", "list")


def test_the_key_is_made_once(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    key = run("key", "--folder", "c")
    assert run("key", "--folder", "c") == key
    assert (tmp_path / "c/receipts.key").stat().st_mode & 0o077 == 0


def test_users_are_those_of_the_console(run, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("long enough\n"))
    run("user", "ann", "--role", "inspector", "--users", "u.yaml", "--password-stdin")
    assert "inspector" in (tmp_path / "u.yaml").read_text()


@pytest.mark.parametrize("words, why", [
    (("--database", "mysql://x"), "no address of a database"), (("--storage", "ftp://x"), "is no storage"),
    (("--host", "0.0.0.0"), "lets other machines"), (("--verifiers", "0"), "verifiers"),
    (("--users", "missing.yaml"), "missing.yaml"), (("--name", "a/b"), "name of the centre"),
])  # fmt: skip
def test_settings_that_cannot_work_are_said(run, words: tuple[str, ...], why: str) -> None:  # type: ignore[no-untyped-def]
    assert why in run(*words, "--port", "0", code=2)


def test_a_backup_has_database_and_key_and_comes_back(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = take(tmp_path / "robot")
    with desk_in(tmp_path / "c") as desk:
        robot = DeskRobot(desk, "berlin", "arm")
        robot.offer(path)
        robot.send(path)
    secret, key = run("token", "add", "berlin", "arm", "--folder", "c"), run("key", "--folder", "c")
    backup = run("backup", "b", "--folder", "c").partition(":")[0]
    run("restore", backup, "--folder", "c", code=2)
    (tmp_path / "c/receipts.key").unlink()
    for old in (tmp_path / "c").glob("centre.sqlite*"):
        old.unlink()
    run("restore", backup, "--folder", "c")
    assert run("key", "--folder", "c") == key
    assert "berlin  arm  valid" in run("token", "list", "--folder", "c")
    assert "0 episodes entered" in run("rebuild", "--folder", "c")
    assert secret
