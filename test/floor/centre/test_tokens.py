"""Tokens, alarms, the audit table, logs and settings.

Holds also: alarms.py, audit.py, json_log.py, settings.py.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

for needed in ("alembic", "psycopg"):
    pytest.importorskip(needed)


from robot_recorder.floor.centre.alarms import AlarmBook, FloorAlarmKind, raise_alarm
from robot_recorder.floor.centre.audit import AuditBook, FloorAudit
from robot_recorder.floor.centre.json_log import JsonFormatter, log_event
from robot_recorder.floor.centre.settings import CentreSettings
from robot_recorder.floor.centre.tokens import Station, TokenBook
from robot_recorder.model.errors import ConfigError

ARM, LEG = Station("berlin", "arm"), Station("berlin", "leg")


def whose(db: Any, token: str) -> Station | None:
    with db.reading() as tx:
        return TokenBook(db).station(tx, token)


def test_a_token_is_known_until_it_is_revoked(db: Any) -> None:
    book = TokenBook(db)
    first, second, other = (book.add(s, "root", 1) for s in (ARM, ARM, LEG))
    assert [whose(db, t) for t in (first, second, other)] == [ARM, ARM, LEG]
    name = book.tokens()[0].name
    assert book.revoke(LEG, name, 2) == 0, "another robot's token has that name"
    assert book.revoke(ARM, name, 2) == 1
    assert sorted(whose(db, t) is None for t in (first, second)) == [False, True]
    assert book.revoke(ARM, "", 3) == 1 and whose(db, first) is whose(db, second) is None
    assert whose(db, other) == LEG
    assert book.revoke(ARM, "", 4) == 0


def test_no_secret_is_kept(db: Any, engine_url: str) -> None:
    secret = TokenBook(db).add(ARM, "root", 1)
    with db.reading() as tx:
        kept = str(tx.run("SELECT * FROM robot_tokens"))
    assert secret not in kept and len(secret) >= 43


@pytest.mark.parametrize(
    "text", ["", "x", "x" * 10**6, "\ud800", "\0", "'; DROP TABLE robot_tokens"]
)
def test_other_texts_are_no_tokens(db: Any, text: str) -> None:
    TokenBook(db).add(ARM, "root", 1)
    assert whose(db, text) is None


@pytest.mark.parametrize("name", ["", "a/b", "..", ".x", "a\nb", "x" * 300, "\ud800"])
def test_names_that_cannot_be_folders_are_refused(db: Any, name: str) -> None:
    for station in (Station(name, "arm"), Station("berlin", name)):
        with pytest.raises(ConfigError, match="is invalid"):
            TokenBook(db).add(station, "root", 1)


def test_a_robot_has_not_any_number_of_tokens(db: Any) -> None:
    book = TokenBook(db)
    for _ in range(20):
        book.add(ARM, "root", 1)
    with pytest.raises(ConfigError, match="revoke some"):
        book.add(ARM, "root", 1)


def alarm(db: Any, subject: str, sentence: str, at_ns: int = 1) -> None:
    with db.transaction() as tx:
        raise_alarm(tx, ARM, FloorAlarmKind.CLOCK, subject, sentence, at_ns)


def test_an_alarm_counts_until_it_is_seen(db: Any) -> None:
    book = AlarmBook(db)
    alarm(db, "x", "first", 1)
    alarm(db, "x", "second", 2)
    (stands,) = book.stand()
    assert (stands.sentence, stands.first_ns, stands.last_ns, stands.times) == ("second", 1, 2, 2)
    assert book.clear("berlin", "arm", "clock", "x", 3) and book.stand() == []
    assert not book.clear("berlin", "arm", "clock", "x", 3)
    alarm(db, "x", "third", 4)
    assert [a.sentence for a in book.stand()] == ["third"]


def test_a_robot_cannot_fill_the_table_of_alarms(db: Any) -> None:
    with db.transaction() as tx:
        for number in range(1100):
            raise_alarm(tx, ARM, FloorAlarmKind.REFUSED, f"{number}", "x" * 10_000, number)
        rows, longest = tx.run("SELECT count(*), max(length(sentence)) FROM floor_alarms")[0]
    assert rows == 1001 and longest == 500


def test_the_audit_table_has_the_newest_first_and_cut(db: Any) -> None:
    book = AuditBook(db)
    for number in range(3):
        fields = {"note": "x" * 1000, "ids": ["y"] * 100}
        book.add(FloorAudit("ann", "127.0.0.1", f"relabel {number}", fields, True, ""), number)
    newest = book.newest(2)
    assert [entry["what"] for entry in newest] == ["relabel 2", "relabel 1"]
    assert len(newest[0]["fields"]["note"]) < 310 and len(newest[0]["fields"]["ids"]) == 50


def test_a_log_line_is_json_with_its_fields() -> None:
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    logger, handler = logging.getLogger("robot_recorder.test"), Collector()
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    logger.propagate = False
    try:
        log_event(logger, "stored", logging.WARNING, site="a\nb", bytes=3, path=Path("x"))
        try:
            raise ValueError("bad")
        except ValueError as error:
            logger.error("it failed: %s", "why", exc_info=error)
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    first, second = map(json.loads, lines)
    assert (first["event"], first["level"], first["site"], first["bytes"]) == (
        "stored",
        "warning",
        "a\nb",
        3,
    )
    assert (
        "\n" not in lines[0]
        and second["event"] == "it failed: why"
        and "ValueError" in second["error"]
    )


def test_settings_have_an_embedded_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROBOT_RECORDER_DATABASE", "ROBOT_RECORDER_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    own = CentreSettings(folder=tmp_path)
    own.check()
    assert own.database_url == f"sqlite:///{tmp_path}/centre.sqlite"
    assert own.storage_url == f"{tmp_path}/storage"
    monkeypatch.setenv("ROBOT_RECORDER_DATABASE", "postgresql://u@h/d")
    assert own.database_url == "postgresql://u@h/d"
    assert CentreSettings(folder=tmp_path, database="sqlite:///x").database_url == "sqlite:///x"


@pytest.mark.parametrize("wrong, why", [
    ({"database": "mysql://x"}, "no address of a database"), ({"name": "a/b"}, "name of the centre"),
    ({"part_bytes": 1}, "part_bytes"), ({"verifiers": 0}, "verifiers"), ({"host": "0.0.0.0"}, "lets other machines"),
    ({"certificate": Path("c")}, "belong together"),
])  # fmt: skip
def test_settings_that_cannot_work_are_refused(
    tmp_path: Path, wrong: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        CentreSettings(folder=tmp_path, **wrong).check()


def test_one_robot_does_not_fill_the_list_of_alarms(db: Any) -> None:
    loud, quiet = ARM, LEG
    with db.transaction() as tx:
        raise_alarm(tx, quiet, FloorAlarmKind.CLOCK, "", "its clock", 1)
        raise_alarm(tx, quiet, FloorAlarmKind.CONFLICT, "e", "other data", 2)
        for number in range(60):
            raise_alarm(tx, loud, FloorAlarmKind.REFUSED, f"e{number}", "rubbish", 100 + number)
    book = AlarmBook(db)
    found = book.stand()
    assert found[0].kind == "conflict", "what may cost data comes first"
    assert [a.subject for a in found[1:21]] == [f"e{n}" for n in range(59, 39, -1)]
    assert found[20].sentence == "rubbish (and 40 older ones of this kind)"
    assert [a.robot for a in found[21:]] == ["leg"]
    assert book.clear("berlin", "arm", "refused", "e59", 1000)
    assert book.stand()[1].subject == "e58" and len(book.stand(5)) == 5


def test_the_audit_table_keeps_odd_texts(db: Any) -> None:
    book = AuditBook(db)
    book.add(FloorAudit("a\0", "::1", "x\ud800", {"a": "\ud800\0"}, False, "\0"), 1)
    (entry,) = book.newest()
    assert (entry["who"], entry["what"], entry["message"]) == ("a?", "x?", "?")
