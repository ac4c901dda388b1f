"""A database that was lost or restored from an older backup, and storages that are not the right ones.

Holds also: identity.py, lease.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

for needed in ("fastapi", "alembic", "psycopg", "cryptography"):
    pytest.importorskip(needed)

from support.centres import DeskRobot, desk_in, take

from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.centre.database.backup import back_up, restore
from robot_recorder.floor.centre.database.database import open_database
from robot_recorder.floor.centre.database.identity import begin_history, history_of
from robot_recorder.floor.centre.database.lease import CentreLease
from robot_recorder.floor.centre.database.rebuild import rebuild
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome

BOB = LabelEvent(0, "", LabelKind.OUTCOME, by="bob", outcome=Outcome.FAILURE)


def drop(folder: Path) -> None:
    """Lose the database."""
    for path in folder.glob("centre.sqlite*"):
        path.unlink()


def test_all_that_has_a_receipt_is_entered_again_after_the_database_was_lost(
    tmp_path: Path,
) -> None:
    folder, paths = tmp_path / "centre", [take(tmp_path / "robot", n) for n in range(3)]
    with desk_in(folder) as desk:
        robot = DeskRobot(desk, "berlin", "arm")
        for path in paths:
            robot.offer(path)
        for path in paths[:2]:
            robot.send(path)
        desk.relabel("berlin", paths[0].name, [BOB], "bob")
        desk.rewriter.work()
        receipts = robot.beat(ids=tuple(p.name for p in paths))["receipts"]
        entries = [desk.catalogue.get("berlin", p.name) for p in paths[:2]]
    drop(folder)
    with desk_in(folder) as desk:
        done = rebuild(desk, time.time_ns)
        assert (done.entered, done.labelled, done.refused) == (2, 0, {})
        robot = DeskRobot(desk, "berlin", "arm")
        assert robot.beat(ids=tuple(p.name for p in paths))["receipts"] == receipts
        again = [desk.catalogue.get("berlin", p.name) for p in paths[:2]]
        assert [(e.id, e.outcome, e.task) for e in again] == [
            (e.id, e.outcome, e.task) for e in entries
        ]
        assert entries[0].outcome is Outcome.FAILURE
        assert rebuild(desk, time.time_ns).entered == 0, "twice does not matter"
        # The robot goes on as if nothing had been.
        for path in paths:
            robot.offer(path)
            robot.send(path)
        assert desk.ingest.told("berlin", paths[2].name)["state"] == "stored"


def test_after_an_older_backup_nothing_newer_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "centre"
    old, new = take(tmp_path / "robot", 1), take(tmp_path / "robot", 2)
    with desk_in(folder) as desk:
        robot = DeskRobot(desk, "berlin", "arm")
        robot.offer(old)
        robot.send(old)
        robot.offer(new)
        backup = back_up(desk.settings.database_url, tmp_path / "backups")
        robot.send(new)
        desk.relabel("berlin", old.name, [BOB], "bob")
        desk.rewriter.work()
        cursor = robot.beat()["cursor"]
        url = desk.settings.database_url
    drop(folder)
    restore(backup, url)
    with desk_in(folder) as desk:
        robot = DeskRobot(desk, "berlin", "arm")
        done = rebuild(desk, time.time_ns)
        assert (done.entered, done.labelled, done.refused) == (1, 1, {})
        assert desk.catalogue.get("berlin", old.name).outcome is Outcome.FAILURE
        assert new.name in robot.beat(ids=(new.name,))["receipts"]
        # A robot that has heard more than the database knew still hears what comes now.
        assert robot.beat(cursor)["cursor"] > cursor
        desk.relabel("berlin", new.name, [BOB], "bob")
        assert new.name in robot.beat(cursor)["labels"]


def test_labels_that_only_the_database_has_are_written_after_a_rebuild(tmp_path: Path) -> None:
    path = take(tmp_path / "robot")
    with desk_in(tmp_path / "centre") as desk:
        robot = DeskRobot(desk, "berlin", "arm")
        robot.offer(path)
        robot.send(path)
        desk.relabel("berlin", path.name, [BOB], "bob")
        rebuild(desk, time.time_ns)
        desk.rewriter.work()
        with desk.copies.episode("berlin", path.name) as copy:
            assert EpisodeStore(copy.parent).find(path.name)
            assert "bob" in (copy / "metadata.yaml").read_text()


def test_forged_and_broken_receipts_are_not_entered(tmp_path: Path) -> None:
    folder, paths = tmp_path / "centre", [take(tmp_path / "robot", n) for n in range(4)]
    with desk_in(folder) as desk:
        robot = DeskRobot(desk, "berlin", "arm")
        for path in paths:
            robot.offer(path)
            robot.send(path)
        keys = [f"receipts/berlin/{path.name}.json" for path in paths]
        forged = json.loads(desk.storage.get(keys[0])) | {"size_bytes": 1}
        desk.storage.put(keys[0], json.dumps(forged).encode())
        desk.storage.put(keys[1], b"{")
        desk.storage.put(keys[2], desk.storage.get(keys[3]))
    drop(folder)
    with desk_in(folder) as desk:
        done = rebuild(desk, time.time_ns)
        assert done.entered == 1 and len(done.refused) == 3
        assert "not signed" in done.refused[f"berlin/{paths[0].name}"]
        assert "another episode" in done.refused[f"berlin/{paths[2].name}"]


def test_an_empty_folder_instead_of_the_disk_is_not_taken_for_the_storage(tmp_path: Path) -> None:
    folder = tmp_path / "centre"
    with desk_in(folder):
        pass
    (folder / "storage").rename(tmp_path / "unmounted")
    with (
        pytest.raises(ConfigError, match="is the disk mounted|Is the disk mounted"),
        desk_in(folder),
    ):
        pass
    with desk_in(tmp_path / "other"):
        pass
    with (
        pytest.raises(ConfigError, match="another identity"),
        desk_in(folder, storage=str(tmp_path / "other" / "storage")),
    ):
        pass
    with desk_in(folder, storage=str(tmp_path / "unmounted")):
        pass


def test_data_that_is_not_what_its_receipt_is_for_is_not_entered(tmp_path: Path) -> None:
    folder, paths = tmp_path / "centre", [take(tmp_path / "robot", n) for n in range(4)]
    with desk_in(folder) as desk:
        robot = DeskRobot(desk, "berlin", "arm")
        for path in paths:
            robot.offer(path)
            robot.send(path)
        keys = [f"bags/berlin/{path.name}/{path.name}_0.mcap" for path in paths]
        desk.storage.put(keys[0], bytes(desk.storage.size(keys[0])))
        desk.storage.put(keys[1], b"short")
        desk.storage.delete(keys[2])
        assert rebuild(desk, time.time_ns).refused == {}, (
            "what the database knows is not read again"
        )
    drop(folder)
    with desk_in(folder) as desk:
        done = rebuild(desk, time.time_ns)
        assert done.entered == 1
        assert {name[-8:] for name in done.refused} == {f"{n:03d}_lift" for n in range(3)}
        assert "not what its receipt is for" in done.refused[f"berlin/{paths[0].name}"]
        assert desk.ingest.told("berlin", paths[0].name) is None
        # Only the sizes, on request.
        assert rebuild(desk, time.time_ns, hashed=False).entered == 1


def test_a_receipt_of_an_older_upload_does_not_make_a_newer_one_stored(tmp_path: Path) -> None:
    path = take(tmp_path / "robot")
    with desk_in(tmp_path / "centre") as desk:
        robot = DeskRobot(desk, "berlin", "arm")
        robot.offer(path)
        robot.send(path)
        with desk.db.transaction() as tx:  # as a backup of before the receipt
            tx.run("UPDATE floor_episodes SET state = 'offered', receipt = NULL")
        robot.upload(path, lambda name, data: bytes(len(data)))
        done = rebuild(desk, time.time_ns)
        assert done.entered == 0 and len(done.refused) == 1
        assert desk.ingest.told("berlin", path.name)["receipt"] is None


def test_robots_hear_of_a_new_history_when_the_database_may_have_forgotten(tmp_path: Path) -> None:
    folder, seen = tmp_path / "centre", []
    for _ in range(2):
        with desk_in(folder) as desk:
            seen.append(DeskRobot(desk, "berlin", "arm").beat()["history"])
            url = desk.settings.database_url
    assert seen[0] == seen[1], "a restart forgets nothing"
    backup = back_up(url, tmp_path / "backups")
    drop(folder)
    restore(backup, url)
    with desk_in(folder) as desk:
        robot = DeskRobot(desk, "berlin", "arm")
        seen.append(robot.beat()["history"])
        rebuild(desk, time.time_ns)
        seen.append(robot.beat()["history"])
    drop(folder)
    with desk_in(folder) as desk:
        seen.append(DeskRobot(desk, "berlin", "arm").beat()["history"])
    assert len(set(seen)) == 4


def test_a_restored_database_has_another_history_on_every_engine(
    engine_url: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    with open_database(engine_url) as db, db.transaction() as tx:
        begin_history(tx)
        first = history_of(tx)
        begin_history(tx)
        assert history_of(tx) == first
    backup = back_up(engine_url, tmp_path / "backups")
    other = f"sqlite:///{tmp_path}/other.sqlite"
    if not engine_url.startswith("sqlite"):
        other = request.getfixturevalue("server").new_database()
    restore(backup, other)
    with open_database(other) as db, db.transaction() as tx:
        begin_history(tx)
        assert history_of(tx) not in (0, first)


HOLD = """
import sys, time
from robot_recorder.floor.centre.database.lease import CentreLease
lease = CentreLease(sys.argv[1])
print("held", flush=True)
time.sleep(600)
"""


def test_a_database_has_one_centre_and_a_killed_one_is_followed_at_once(
    engine_url: str,
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, engine_url], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match="another process is the centre"):
            CentreLease(engine_url, wait_s=0.1)
        holder.kill()
        holder.wait()
        begun_s = time.monotonic()
        lease = CentreLease(engine_url)
        assert time.monotonic() - begun_s < 2
        lease.keep()
        with pytest.raises(ConfigError, match="end it first"):
            CentreLease(engine_url, wait_s=0.0)
        lease.close()
        CentreLease(engine_url, wait_s=0.0).close()
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()


def test_a_second_centre_is_refused_before_it_touches_anything(tmp_path: Path) -> None:
    with desk_in(tmp_path / "centre") as desk:
        url = desk.settings.database_url
        with (
            pytest.raises(ConfigError, match="one at a time"),
            desk_in(tmp_path / "b", database=url),
        ):
            pass
    with desk_in(tmp_path / "centre"):
        pass


@pytest.mark.floor
def test_a_lease_that_broke_with_its_connection_is_taken_again_unless_another_has_it(
    server: Any,
) -> None:
    url = server.new_database()
    lease = CentreLease(url)

    def cut_off() -> None:
        with open_database(url) as db, db.transaction() as tx:
            tx.run(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND pid <> pg_backend_pid()"
            )

    cut_off()
    lease.keep()
    with pytest.raises(ConfigError):
        CentreLease(url, wait_s=0.0)
    cut_off()
    other = CentreLease(url)
    with pytest.raises(ConfigError, match="another process"):
        lease.keep()
    other.close()
    lease.keep()
    lease.close()
