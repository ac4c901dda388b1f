"""Offers, uploads and verification, without HTTP.

Holds also: structure.py, verify.py, rewriter.py, metadata_text.py, floor/centre/refusals.py, floor/centre/desk.py, floor/centre/database/migrations/0002_ingest.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

for needed in ("fastapi", "alembic", "psycopg", "cryptography"):
    pytest.importorskip(needed)

from support.centres import DeskRobot, desk_in, die, take
from support.s3_servers import radosgw

from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.label_rules import MOST_LABELS
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.centre.ingest import rewriter, verify
from robot_recorder.floor.centre.refusals import RefusedRobot
from robot_recorder.floor.manifest import read_manifest
from robot_recorder.floor.receipts import Receipt, receipt_problem
from robot_recorder.floor.storage.port import StorageError, StorageTrouble
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome


@pytest.fixture(
    scope="module", params=["embedded", pytest.param("servers", marks=pytest.mark.floor)]
)
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The same desk for all tests: on SQLite and a directory, then on PostgreSQL and S3."""
    folder = tmp_path_factory.mktemp("centre")
    with ExitStack() as stack:
        settings = {}
        if request.param == "servers":
            bucket = stack.enter_context(radosgw(tmp_path_factory.mktemp("s3")))
            stack.enter_context(bucket.user.asking())
            url = request.getfixturevalue("server").new_database()
            settings = {"storage": bucket.url(bucket.bucket()), "database": url}
        yield stack.enter_context(desk_in(folder, **settings))


@contextmanager
def bag_of(desk: Any, site: str, path: Path) -> Iterator[Episode]:
    """The episode as it lies in the storage."""
    with desk.copies.episode(site, path.name) as copy:
        yield Episode.open(copy)


@pytest.fixture
def site(request: pytest.FixtureRequest) -> str:
    """A site of its own for each test, so that one desk serves all."""
    return f"site{abs(hash(request.node.name)) % 10**9}"


@pytest.fixture
def robot(desk: Any, site: str) -> DeskRobot:
    return DeskRobot(desk, site, "arm")


def told(desk: Any, site: str, path: Path) -> Any:
    return desk.ingest.told(site, path.name)


def outcome(value: Outcome, by: str = "bob", stamp_ns: int = 0) -> LabelEvent:
    return LabelEvent(stamp_ns, "", LabelKind.OUTCOME, by=by, outcome=value)


def alarms(desk: Any, site: str) -> dict[str, str]:
    return {alarm.kind: alarm.sentence for alarm in desk.alarms.stand() if alarm.site == site}


# -- the way in


def test_an_episode_gets_a_receipt_that_robots_believe(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    assert robot.offer(path) == {"ok": True, "message": "", "labels": []}
    assert desk.catalogue.get(site, path.name).task == "lift"
    assert robot.beat(ids=(path.name,))["receipts"] == {}
    manifest = robot.send(path)
    receipt = Receipt.from_plain(robot.beat(ids=(path.name,))["receipts"][path.name])
    publics = (desk.signer.public,)
    assert not receipt_problem(
        receipt, publics, site, path.name, manifest.sha256, manifest.size_bytes
    )
    assert desk.catalogue.get(site, path.name).size_bytes >= manifest.size_bytes
    prefix = f"bags/{site}/{path.name}/"
    stored = {key.removeprefix(prefix) for key, _ in desk.storage.keys(prefix)}
    assert stored == {METADATA_FILE, f"{path.name}_0.mcap"}
    with bag_of(desk, site, path) as plain:
        assert plain.id == path.name and plain.labels.task == "lift"


def test_doing_every_step_twice_changes_nothing(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    for _ in range(2):
        robot.offer(path)
    robot.upload(path)
    manifest = robot.upload(path)
    robot.send(path)
    first = robot.beat(ids=(path.name,))["receipts"][path.name]
    robot.offer(path)
    assert desk.ingest.upload(robot.station, path.name, manifest.to_plain())["state"] == "stored"
    assert desk.ingest.stored(robot.station, path.name, manifest.sha256) == "stored"
    robot.send(path)
    assert robot.beat(ids=(path.name,))["receipts"][path.name] == first, "the same receipt again"


def test_an_upload_goes_on_where_it_was(desk: Any, robot: DeskRobot, tmp_path: Path) -> None:
    path = take(tmp_path)
    robot.offer(path)
    plain = read_manifest(path).to_plain()
    name = plain[0][0]
    before = desk.ingest.upload(robot.station, path.name, plain)["files"][name]
    assert before["have"] == [] and not before["done"]
    robot.part(path.name, name, before["upload"], 1, (path / name).read_bytes())
    after = desk.ingest.upload(robot.station, path.name, plain)["files"][name]
    assert after == {"upload": before["upload"], "have": [1], "done": False}
    robot.send(path)
    assert desk.ingest.told(robot.station.site, path.name)["state"] == "stored"


def test_an_upload_that_the_storage_has_lost_begins_again(
    desk: Any, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    plain = read_manifest(path).to_plain()
    name, id = plain[0][0], path.name
    lost = desk.ingest.upload(robot.station, id, plain)["files"][name]["upload"]
    desk.storage.abort(f"bags/{robot.station.site}/{id}/{name}", lost)
    with pytest.raises(RefusedRobot, match="not known|incomplete") as refused:
        desk.ingest.complete(robot.station, id, name, lost, {1: "0" * 32})
    assert (refused.value.status, refused.value.trouble) == (503, "missing")
    robot.send(path)
    assert desk.ingest.told(robot.station.site, id)["state"] == "stored"


def test_parts_of_other_sizes_than_agreed_are_refused(
    desk: Any, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    plain = read_manifest(path).to_plain()
    name, size, _ = plain[0]
    upload = desk.ingest.upload(robot.station, path.name, plain)["files"][name]["upload"]
    for number, wrong in ((1, size + 1), (1, size - 1), (2, size), (0, size), (10**6, 1)):
        with pytest.raises(RefusedRobot, match="bytes"):
            desk.ingest.parts(
                robot.station,
                path.name,
                name,
                upload,
                [(number, wrong, "1B2M2Y8AsgTpgAmY7PhCfg==")],
            )


# -- what is wrong with data


def test_other_bytes_than_announced_get_no_receipt_and_are_sent_again(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    robot.send(path, lambda name, data: data[:1000] + bytes([data[1000] ^ 1]) + data[1001:])
    now = told(desk, site, path)
    assert now["state"] == "uploading" and now["receipt"] is None
    assert robot.beat()["recheck"] == [path.name]
    assert "another SHA-256" in alarms(desk, site)["wrong_object"]
    assert list(desk.storage.keys(f"bags/{site}/{path.name}/")) == []
    robot.send(path)
    after = robot.beat(ids=(path.name,))
    assert path.name in after["receipts"] and not after["recheck"] and not after["problems"]


def test_an_object_that_is_truncated_in_the_storage_is_sent_again(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    manifest = robot.upload(path)
    desk.ingest.stored(robot.station, path.name, manifest.sha256)
    key = f"bags/{site}/{path.name}/{manifest.files[0].name}"
    desk.storage.put(key, desk.storage.get(key)[:-1])
    desk.verifier.verify(site, path.name)
    assert "bytes instead of" in alarms(desk, site)["wrong_object"]
    desk.storage.delete(key)
    robot.send(path)
    assert told(desk, site, path)["state"] == "stored"


def test_an_object_that_vanished_is_sent_again(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    manifest = robot.upload(path)
    desk.ingest.stored(robot.station, path.name, manifest.sha256)
    desk.storage.delete(f"bags/{site}/{path.name}/{manifest.files[0].name}")
    desk.verifier.verify(site, path.name)
    assert told(desk, site, path)["state"] == "uploading"
    assert "is missing" in robot.beat()["problems"][path.name]


def test_a_bag_that_is_damaged_on_the_robot_is_held_until_somebody_accepts_it(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    file = path / f"{path.name}_0.mcap"
    file.write_bytes(file.read_bytes()[:-100])  # hashed like this by the robot
    robot.offer(path)
    robot.send(path)
    assert told(desk, site, path)["state"] == "held"
    assert "index is damaged" in robot.beat()["problems"][path.name]
    assert "structure" in alarms(desk, site)
    plain = read_manifest(path).to_plain()
    assert desk.ingest.upload(robot.station, path.name, plain)["state"] == "verifying"
    assert desk.ingest.accept(site, path.name)
    desk.verifier.verify(site, path.name)
    assert told(desk, site, path)["state"] == "stored"


def test_a_file_that_the_metadata_names_must_be_there(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    (path / f"{path.name}_0.mcap").rename(path / "other.mcap")
    robot.offer(path)
    robot.send(path)
    assert "which its metadata.yaml names" in robot.beat()["problems"][path.name]


def test_other_counts_than_in_the_metadata_are_held(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    text = (path / METADATA_FILE).read_text()
    (path / METADATA_FILE).write_text(text.replace("message_count: 100", "message_count: 101"))
    robot.offer(path)
    robot.send(path)
    assert "its files have 100 messages" in robot.beat()["problems"][path.name]


def test_a_held_episode_is_verified_again_with_newer_metadata(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    good = (path / METADATA_FILE).read_text()
    (path / METADATA_FILE).write_text(good.replace("message_count: 100", "message_count: 101"))
    robot.offer(path)
    robot.send(path)
    assert told(desk, site, path)["state"] == "held"
    (path / METADATA_FILE).write_text(good)
    robot.offer(path)
    desk.verifier.verify(site, path.name)
    assert told(desk, site, path)["state"] == "stored" and robot.beat()["problems"] == {}


def test_a_bag_whose_check_ends_the_process_is_not_tried_for_ever(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    manifest = robot.upload(path)
    desk.ingest.stored(robot.station, path.name, manifest.sha256)
    with monkeypatch.context() as patch:
        patch.setattr(verify, "bag_problems", die)
        for _ in range(4):
            with pytest.raises(StorageError, match="died"):
                desk.verifier.verify(site, path.name)
        desk.verifier.verify(site, path.name)
    assert told(desk, site, path)["state"] == "held"
    # Another one is not concerned.
    good = take(tmp_path / "good", 1)
    robot.offer(good)
    robot.send(good)
    assert told(desk, site, good)["state"] == "stored"


def test_other_data_under_the_id_of_a_stored_episode_is_a_conflict(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path / "a")
    robot.offer(path)
    manifest = robot.send(path)
    key = f"bags/{site}/{path.name}/{manifest.files[0].name}"
    before = desk.storage.get(key)
    other = take(tmp_path / "b", seconds=2.0)
    assert other.name == path.name
    with pytest.raises(RefusedRobot, match="nothing is overwritten") as refused:
        robot.send(other)
    assert refused.value.status == 409
    assert desk.storage.get(key) == before
    assert "two episodes came to have one id" in alarms(desk, site)["conflict"]
    assert path.name in robot.beat()["problems"]


def test_before_the_receipt_newer_files_replace_older_ones(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    old = take(tmp_path / "a")
    (old / "notes.txt").write_text("of the older upload")
    robot.offer(old)
    robot.upload(old)
    new = take(tmp_path / "b", seconds=2.0)
    robot.offer(new)
    manifest = robot.send(new)
    assert told(desk, site, new)["receipt"]["sha256"] == manifest.sha256
    prefix = f"bags/{site}/{new.name}/"
    names = {key.removeprefix(prefix) for key, _ in desk.storage.keys(prefix)}
    assert names == {METADATA_FILE, manifest.files[0].name}, "nothing is left of the older upload"


def test_stored_for_another_manifest_is_refused(
    desk: Any, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    robot.upload(path)
    with pytest.raises(RefusedRobot, match="other files") as refused:
        desk.ingest.stored(robot.station, path.name, "0" * 64)
    assert refused.value.status == 409


def test_stored_before_all_files_are_complete_is_refused(
    desk: Any, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    manifest = read_manifest(path)
    desk.ingest.upload(robot.station, path.name, manifest.to_plain())
    with pytest.raises(RefusedRobot, match="not complete"):
        desk.ingest.stored(robot.station, path.name, manifest.sha256)


def test_an_empty_file_beside_the_bag_comes_along(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    (path / "empty.txt").touch()
    robot.offer(path)
    robot.send(path)
    assert told(desk, site, path)["state"] == "stored"
    assert desk.storage.size(f"bags/{site}/{path.name}/empty.txt") == 0


# -- while it is read back


def between(desk: Any, monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Do something after the objects were hashed, before the receipt is signed."""
    check = desk.verifier._structure

    def then_act(*arguments: Any) -> Any:
        monkeypatch.setattr(desk.verifier, "_structure", check)
        problems = check(*arguments)
        act()
        return problems

    monkeypatch.setattr(desk.verifier, "_structure", then_act)


@pytest.mark.parametrize("is_queued", [False, True])
def test_objects_that_were_replaced_after_they_were_read_back_get_no_receipt(
    desk: Any,
    site: str,
    robot: DeskRobot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_queued: bool,
) -> None:
    """The attack on a receipt: another manifest, then the first one again, with other bytes."""
    path = take(tmp_path)
    robot.offer(path)
    manifest = robot.upload(path)
    desk.ingest.stored(robot.station, path.name, manifest.sha256)

    def attack() -> None:
        desk.ingest.upload(robot.station, path.name, [["x", 1, "0" * 64]])
        robot.upload(path, lambda name, data: bytes(len(data)))
        if is_queued:
            desk.ingest.stored(robot.station, path.name, manifest.sha256)

    between(desk, monkeypatch, attack)
    desk.verifier.verify(site, path.name)
    now = told(desk, site, path)
    assert now["receipt"] is None and robot.beat(ids=(path.name,))["receipts"] == {}
    assert desk.storage.size(f"receipts/{site}/{path.name}.json") is None
    assert desk.storage.size(f"bags/{site}/{path.name}/{METADATA_FILE}") is None
    desk.verifier.verify(site, path.name)
    assert (told(desk, site, path)["state"], told(desk, site, path)["receipt"]) == (
        "uploading",
        None,
    )
    for _ in range(2 - is_queued):  # if the junk is still to be read back, that comes first
        robot.send(path)
    assert told(desk, site, path)["state"] == "stored"


def test_other_metadata_of_the_bag_while_it_is_checked_is_checked_too(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    manifest = robot.upload(path)
    desk.ingest.stored(robot.station, path.name, manifest.sha256)
    good = (path / METADATA_FILE).read_text()
    between(desk, monkeypatch, lambda: desk.ingest.offer(
        robot.station, path.name, good.replace("message_count: 100", "message_count: 101"), False
    ))  # fmt: skip
    desk.verifier.verify(site, path.name)
    assert told(desk, site, path)["receipt"] is None
    desk.verifier.verify(site, path.name)
    assert told(desk, site, path)["state"] == "held"


def test_a_file_is_not_complete_because_an_older_one_has_its_size(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    robot.upload(path)
    desk.ingest.upload(robot.station, path.name, [["x", 1, "0" * 64]])
    plain = read_manifest(path).to_plain()
    ((name, file),) = desk.ingest.upload(robot.station, path.name, plain)["files"].items()
    with pytest.raises(RefusedRobot, match="incomplete"):
        desk.ingest.complete(robot.station, path.name, name, file["upload"], {1: "0" * 32})


def test_a_receipt_that_the_storage_does_not_take_is_written_later_and_told_only_then(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    put = desk.storage.put

    def refuse_receipts(key: str, data: bytes) -> None:
        if key.startswith("receipts/"):
            raise StorageError(StorageTrouble.FULL, "no space")
        put(key, data)

    with monkeypatch.context() as patch:
        patch.setattr(desk.storage, "put", refuse_receipts)
        robot.send(path)
        assert told(desk, site, path)["state"] == "stored"
        assert robot.beat(ids=(path.name,))["receipts"] == {}
    desk.rewriter.work()
    kept = json.loads(desk.storage.get(f"receipts/{site}/{path.name}.json"))
    assert robot.beat(ids=(path.name,))["receipts"] == {path.name: kept}


# -- what is stored stays


def other(path: Path, before: str, after: str) -> str:
    text = (path / METADATA_FILE).read_text()
    assert before in text
    return text.replace(before, after, 1)


@pytest.mark.parametrize("before, after", [
    ("_0.mcap", "_1.mcap"), ("message_count: 100", "message_count: 1"), ("name: joint_states", "name: gone"),
    ("storage_identifier: mcap", "storage_identifier: sqlite3"),
])  # fmt: skip
def test_metadata_of_a_stored_bag_is_not_replaced_by_that_of_another(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path, before: str, after: str
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    robot.send(path)
    key = f"bags/{site}/{path.name}/{METADATA_FILE}"
    stored = desk.storage.get(key)
    answer = desk.ingest.offer(robot.station, path.name, other(path, before, after), False)
    assert answer["ok"] and "only labels are taken" in answer["message"]
    while desk.rewriter.work():
        pass
    assert desk.storage.get(key) == stored
    assert "only labels are taken" in alarms(desk, site)["conflict"]


def test_what_a_robot_replaces_after_the_receipt_is_kept(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    robot.send(path)
    first = desk.storage.get(f"bags/{site}/{path.name}/{METADATA_FILE}")
    for number in range(25):
        text = other(path, "episode_id:", f"verdict: 'x{number}'\n    episode_id:")
        assert desk.ingest.offer(robot.station, path.name, text, False) == {
            "ok": True, "message": "", "labels": [],
        }  # fmt: skip
        desk.rewriter.work()
    kept = [desk.storage.get(key) for key, _ in desk.storage.keys(f"metadata/{site}/")]
    assert len(kept) == 20 and first in kept


def test_after_the_robot_has_deleted_it_only_labels_are_taken(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    robot.send(path)
    desk.ingest.freed(robot.station, [path.name])
    EpisodeStore(tmp_path).append_labels(path, lambda _: [outcome(Outcome.FAILURE, "ann", 5)])
    assert robot.offer(path) == {"ok": True, "message": "", "labels": []}
    assert desk.catalogue.get(site, path.name).outcome is Outcome.FAILURE
    assert "conflict" not in alarms(desk, site)
    EpisodeStore(tmp_path).amend(path, lambda _: {"verdict": "reject"})
    assert "only labels are taken" in robot.offer(path)["message"]
    for answer in (
        robot.offer(path, discarded=True),
        desk.ingest.offer(robot.station, path.name, "", True),
    ):
        assert not answer["ok"] and "the only copy" in answer["message"]
    assert desk.catalogue.get(site, path.name).verdict.text != "reject"
    assert not told(desk, site, path)["discarded"]
    assert "look who has its token" in alarms(desk, site)["conflict"]


# -- who may


def test_another_robot_may_not_touch_an_episode(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    manifest = robot.send(path)
    thief = DeskRobot(desk, site, "thief")
    assert not thief.offer(path)["ok"]
    for act in (
        lambda: desk.ingest.upload(thief.station, path.name, manifest.to_plain()),
        lambda: desk.ingest.stored(thief.station, path.name, manifest.sha256),
        lambda: desk.ingest.parts(thief.station, path.name, "x", "y", []),
        lambda: desk.ingest.complete(thief.station, path.name, "x", "y", {}),
    ):
        with pytest.raises(RefusedRobot) as refused:
            act()
        assert refused.value.status == 403
    desk.ingest.freed(thief.station, [path.name])
    assert told(desk, site, path)["freed_ns"] is None
    assert thief.beat(ids=(path.name,))["receipts"] == {}


def test_a_robot_may_not_offer_first_what_is_anothers_by_its_id(
    desk: Any, site: str, tmp_path: Path
) -> None:
    path = take(tmp_path, robot="arm")
    answer = DeskRobot(desk, site, "thief").offer(path)
    assert not answer["ok"] and "token is that of thief" in answer["message"]
    assert told(desk, site, path) is None


def test_a_robot_may_not_offer_an_episode_as_anothers(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    text = other(path, "robot: arm", "robot: victim")
    for _ in range(2):  # when it is new, and when it is known
        answer = desk.ingest.offer(robot.station, path.name, text, False)
        assert not answer["ok"] and "an episode of victim" in answer["message"]
        assert robot.offer(path)["ok"]
    assert desk.catalogue.get(site, path.name).robot == "arm"


def test_the_same_id_at_two_sites_is_two_episodes(desk: Any, site: str, tmp_path: Path) -> None:
    one, two = DeskRobot(desk, site, "arm"), DeskRobot(desk, site + "b", "arm")
    first, second = take(tmp_path / "a"), take(tmp_path / "b", seconds=2.0)
    for robot, path in ((one, first), (two, second)):
        robot.offer(path)
        robot.send(path)
    assert told(desk, site, first)["state"] == told(desk, site + "b", second)["state"] == "stored"


def test_an_unknown_episode_has_to_be_offered_first(
    desk: Any, robot: DeskRobot, tmp_path: Path
) -> None:
    with pytest.raises(RefusedRobot, match="offer it first") as refused:
        robot.send(take(tmp_path))
    assert (refused.value.status, refused.value.trouble) == (404, "unknown")


# -- metadata


@pytest.mark.parametrize("text", [
    "", "a: [", "- 1", "rosbag2_bagfile_information: 3", "&a [*a]", "x" * 9_000_000, "&a {b: *a}", "\0", "{" * 400,
    "rosbag2_bagfile_information: {topics_with_message_count: 1, message_count: 1, relative_file_paths: 1}",
])  # fmt: skip
def test_broken_metadata_is_refused_and_named(
    desk: Any, site: str, robot: DeskRobot, text: str, tmp_path: Path
) -> None:
    id = "arm_20260131T101500_000_lift"
    answer = desk.ingest.offer(robot.station, id, text, False)
    assert not answer["ok"] and id in answer["message"]
    assert told(desk, site, tmp_path / id) is None
    assert id in alarms(desk, site)["refused"]


@pytest.mark.parametrize("before, after", [
    ("start_ns: '", "start_ns: 'x"),
    ("stop_ns: '", "stop_ns: '9999999999999999999999"),
    ("episode_id: ", "episode_id: other_"),
    ("robot: arm", 'robot: "a\\0b"'),
    ("labels: '[", "labels: '[3, "),
    ("labels: '[", "labels: '"),
    ("\"task\":\"lift\"", "\"task\":7"),
    ("\"task\":\"lift\"", "\"task\":\"li\\u0000ft\""),
    ("message_count: 100", "message_count: yes"),
])  # fmt: skip
def test_impossible_values_are_refused(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path, before: str, after: str
) -> None:
    path = take(tmp_path)
    text = (path / METADATA_FILE).read_text()
    assert before in text
    answer = desk.ingest.offer(robot.station, path.name, text.replace(before, after, 1), False)
    assert not answer["ok"], after
    assert desk.catalogue.get(site, path.name) is None
    assert robot.offer(path)["ok"], "and the next, good one is taken"


@pytest.mark.parametrize("line", [
    "1: 2", "2026-01-01: 2", "x: 0x" + "f" * 20_000, "x: !!binary aGFsbG8=", "x: !!set {a, b}", "x: .nan",
    "x: &a [*a]", "? [1, 2]\n  : 3", "x: 2026-01-01", "null: 1",
])  # fmt: skip
def test_odd_metadata_is_taken_or_refused_by_itself(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path, line: str
) -> None:
    path = take(tmp_path)
    text = other(path, "  version: 9", f"  {line}\n  version: 9")
    first = desk.ingest.offer(robot.station, path.name, text, False)
    assert first == desk.ingest.offer(robot.station, path.name, text, False)
    if first["ok"]:
        robot.send(path)
        assert told(desk, site, path)["state"] == "stored"
    else:
        assert path.name in first["message"] and "refused" in alarms(desk, site)


@pytest.mark.announced("the offer of")
def test_a_fault_of_the_centre_refuses_one_episode_only(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = take(tmp_path)

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(desk.ingest, "_take_offer", fail)
        answer = robot.offer(path)
    assert not answer["ok"] and "see its log" in answer["message"]
    assert path.name in alarms(desk, site)["refused"]
    assert robot.offer(path)["ok"]


def test_half_a_character_in_labels_and_quality_does_not_keep_an_episode_away(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    quality = {"verdict": "reject", "sentence": "bad \ud800", "findings": [
        {"check": "gap", "stream": "a\udfff", "level": "fail", "sentence": "s", "figure": 1, "threshold": 1,
         "unit": "ms"},
    ]}  # fmt: skip
    path = take(tmp_path, verdict="reject", quality=json.dumps(quality))
    text = other(path, "labels: '[{", 'labels: \'[{"note":"seen \\ud800",')
    assert desk.ingest.offer(robot.station, path.name, text, False)["ok"]
    assert desk.ingest.offer(robot.station, path.name, text, False)["labels"] == []
    ((event,),) = robot.beat()["labels"].values()
    assert event["note"] == "seen ?"
    robot.send(path)
    assert told(desk, site, path)["state"] == "stored"
    episode = desk.episode(site, path.name)
    assert episode.quality.sentence == "bad ?"
    desk.relabel(site, path.name, [outcome(Outcome.SUCCESS)], "bob")
    desk.rewriter.work()
    desk.storage.get(f"bags/{site}/{path.name}/{METADATA_FILE}").decode()
    again = desk.ingest.offer(robot.station, path.name, text, False)
    assert again["message"] == "" and [event["by"] for event in again["labels"]] == ["bob"]


@pytest.mark.parametrize("id", ["", "../x", "a/b", ".hidden", "x" * 300, "a\nb", "\ud800"])
def test_ids_that_are_no_names_are_refused(desk: Any, robot: DeskRobot, id: str) -> None:
    assert not desk.ingest.offer(robot.station, id, "x", False)["ok"]


def test_a_discarded_episode_leaves_the_catalogue_until_it_is_restored(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    assert desk.ingest.offer(robot.station, path.name, "", True)["ok"]
    assert desk.catalogue.get(site, path.name) is None
    robot.offer(path)
    assert desk.catalogue.get(site, path.name) is not None
    robot.offer(path, discarded=True)
    assert desk.catalogue.get(site, path.name) is None
    assert told(desk, site, path)["discarded"]
    assert desk.ingest.offer(robot.station, "arm_20260131T101500_777_x", "", True)["ok"]


def test_facts_that_changed_reach_the_stored_metadata(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    robot.send(path)
    store = EpisodeStore(tmp_path)
    store.amend(path, lambda episode: {"verdict": "reject"})
    robot.offer(path)
    assert desk.catalogue.get(site, path.name).verdict.text == "reject"
    assert told(desk, site, path)["stale"]
    while desk.rewriter.work():
        pass
    assert not told(desk, site, path)["stale"]
    with bag_of(desk, site, path) as stored:
        assert stored.facts["verdict"] == "reject"


# -- labels


def test_a_label_of_the_centre_reaches_robot_catalogue_and_object(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    robot.send(path)
    cursor = robot.beat()["cursor"]
    desk.relabel(site, path.name, [outcome(Outcome.FAILURE)], "bob")
    assert desk.catalogue.get(site, path.name).outcome is Outcome.FAILURE
    now = robot.beat(cursor)
    (event,) = now["labels"][path.name]
    assert event["by"] == "bob" and now["cursor"] > cursor
    assert robot.beat(now["cursor"])["labels"] == {}
    desk.rewriter.work()
    with bag_of(desk, site, path) as stored:
        assert stored.labels.outcome is Outcome.FAILURE and stored.facts["outcome"] == "failure"
    # The robot takes it into its own copy, and offers that: both logs are the same then.
    episode = EpisodeStore(tmp_path).merge_labels(path, now["labels"][path.name])
    assert robot.offer(path)["labels"] == []
    assert episode.facts["labels"] == stored.facts["labels"]


def test_robot_and_centre_label_at_once_and_end_with_the_same(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    robot.send(path)
    desk.relabel(site, path.name, [outcome(Outcome.SUCCESS)], "bob")
    store = EpisodeStore(tmp_path)
    now_ns = time.time_ns()
    store.append_labels(path, lambda episode: [outcome(Outcome.FAILURE, "ann", now_ns)])
    lacking = robot.offer(path)["labels"]
    assert [event["by"] for event in lacking] == ["bob"]
    store.merge_labels(path, lacking)
    desk.rewriter.work()
    with bag_of(desk, site, path) as stored:
        own = Episode.open(path)
    assert own.facts["labels"] == stored.facts["labels"]
    assert own.labels == stored.labels
    assert desk.catalogue.get(site, path.name).outcome is own.labels.outcome


def test_labels_before_the_bag_has_arrived_are_in_the_object(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    desk.relabel(site, path.name, [outcome(Outcome.SUCCESS)], "bob")
    assert desk.episode(site, path.name).labels.outcome is Outcome.SUCCESS
    robot.send(path)
    with bag_of(desk, site, path) as stored:
        assert stored.labels.outcome is Outcome.SUCCESS
    assert not told(desk, site, path)["stale"]


def test_a_label_that_comes_while_the_object_is_written_is_written_next(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    robot.send(path)
    desk.relabel(site, path.name, [outcome(Outcome.SUCCESS)], "bob")
    put = desk.storage.put

    def slow_put(key: str, data: bytes) -> None:
        put(key, data)
        monkeypatch.setattr(desk.storage, "put", put)
        desk.relabel(site, path.name, [outcome(Outcome.FAILURE)], "bob")

    monkeypatch.setattr(desk.storage, "put", slow_put)
    desk.rewriter.work()
    assert told(desk, site, path)["stale"]
    desk.rewriter.work()
    with bag_of(desk, site, path) as stored:
        assert stored.labels.outcome is Outcome.FAILURE


def test_labels_against_the_rules_are_rejected(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    odd = LabelEvent(0, "", LabelKind.OUTCOME, outcome=Outcome.SUCCESS, cause="slip")
    with pytest.raises(ConfigError, match="only a failure has a cause"):
        desk.relabel(site, path.name, [odd], "bob")
    with pytest.raises(BagError, match="unknown"):
        desk.relabel(site, "arm_20260131T101500_999_x", [outcome(Outcome.SUCCESS)], "bob")


def test_a_label_from_the_future_is_kept_and_its_clock_is_named(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    ahead_ns = time.time_ns() + 3600 * 10**9
    EpisodeStore(tmp_path).append_labels(
        path, lambda _: [outcome(Outcome.SUCCESS, "ann", ahead_ns)]
    )
    assert robot.offer(path)["ok"]
    assert desk.catalogue.get(site, path.name).outcome is Outcome.SUCCESS
    assert "check the clock of arm" in alarms(desk, site)["clock"]
    # Whoever labels after having seen it is after it, whatever the clocks say.
    desk.relabel(site, path.name, [outcome(Outcome.FAILURE)], "bob")
    assert desk.catalogue.get(site, path.name).outcome is Outcome.FAILURE


def test_a_robot_cannot_lock_the_labels_of_its_episode(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    full, late = take(tmp_path / "a", 1), take(tmp_path / "b", 2)
    many = [
        LabelEvent(5 + n, "", LabelKind.ANNOTATION, by="eve", name="n", start_ns=n, end_ns=n).to_dict()
        for n in range(1, MOST_LABELS + 500)
    ]  # fmt: skip
    last = LabelEvent((1 << 62) - 1, "", LabelKind.OUTCOME, by="eve", outcome=Outcome.SUCCESS)
    for path, more in ((full, many), (late, [last.to_dict()])):
        text = other(path, "labels: '[", f"labels: '{json.dumps(more)[:-1]},")
        assert desk.ingest.offer(robot.station, path.name, text, False)["ok"]
        desk.relabel(site, path.name, [outcome(Outcome.FAILURE)], "bob")
        assert desk.catalogue.get(site, path.name).outcome is Outcome.FAILURE
    assert "were left out" in alarms(desk, site)["refused"]


@pytest.mark.announced("metadata.yaml is broken")
def test_labels_that_cannot_be_written_keep_no_others_waiting(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [take(tmp_path, number) for number in range(6)]
    for path in paths:
        robot.offer(path)
        robot.send(path)
        desk.relabel(site, path.name, [outcome(Outcome.FAILURE)], "bob")
    prefixes = [f"bags/{site}/{path.name}/{METADATA_FILE}" for path in paths]
    desk.storage.put(prefixes[0], b"{")
    desk.storage.put(prefixes[1], b"\xff")
    desk.storage.delete(prefixes[2])
    monkeypatch.setattr(rewriter, "_BATCH", 2)
    with desk.ingest.locks.hold(site, paths[3].name):
        assert desk.rewriter.work(), "one is busy"
    assert not any(told(desk, site, path)["stale"] for path in paths[4:])
    assert not desk.rewriter.work(), "what is broken is not tried over and over"
    assert [told(desk, site, path)["stale"] for path in paths] == [True] * 3 + [False] * 3


# -- what people ask for, and what robots tell


def test_the_history_of_the_database_is_told_and_stays(desk: Any, robot: DeskRobot) -> None:
    first = robot.beat()["history"]
    assert type(first) is int and 0 < first <= 1 << 53 and robot.beat()["history"] == first


def test_what_is_asked_for_is_told_until_it_is_stored(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    assert desk.ingest.want(site, [path.name, "unknown"]) == [path.name]
    assert robot.beat()["wanted"] == [path.name]
    robot.send(path)
    assert robot.beat()["wanted"] == []
    assert desk.ingest.want(site, [path.name]) == []


def test_a_robot_that_deletes_without_a_receipt_is_an_alarm(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    desk.ingest.freed(robot.station, [path.name, "unknown"])
    assert "for which there is no receipt" in alarms(desk, site)["conflict"]
    assert told(desk, site, path)["freed_ns"] is not None


# -- a storage that fails


def test_what_the_storage_refuses_stays_in_the_queue(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    manifest = robot.upload(path)
    desk.ingest.stored(robot.station, path.name, manifest.sha256)

    def full(key: str, data: bytes) -> None:
        raise StorageError(StorageTrouble.FULL, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(desk.storage, "put", full)
        for _ in range(5):
            with pytest.raises(StorageError, match="no space"):
                desk.verifier.verify(site, path.name)
    assert told(desk, site, path)["state"] == "verifying" and not alarms(desk, site)
    desk.verifier.verify(site, path.name)
    assert told(desk, site, path)["state"] == "stored"


def test_the_receipt_is_kept_beside_the_bags_too(
    desk: Any, site: str, robot: DeskRobot, tmp_path: Path
) -> None:
    path = take(tmp_path)
    robot.offer(path)
    robot.send(path)
    kept = json.loads(desk.storage.get(f"receipts/{site}/{path.name}.json"))
    assert kept == robot.beat(ids=(path.name,))["receipts"][path.name]


def test_a_disk_that_goes_away_while_a_bag_is_checked_is_no_fault_of_the_bag(
    tmp_path: Path,
) -> None:
    from support.bags import small_robot

    from robot_recorder.floor.centre.ingest.structure import bag_problems

    path = small_robot(tmp_path / "bag", seconds=0.5)
    text, names = (path / "metadata.yaml").read_text(), ["bag_0.mcap"]
    assert bag_problems(str(path), names, text) == []
    with pytest.raises(OSError, match="cannot be read"):
        bag_problems(str(tmp_path / "away"), names, text)
