"""What every storage has to do: a test file makes a subclass of StorageSuite that opens its storage."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import pytest

from robot_recorder.floor.storage.errors import reply_trouble
from robot_recorder.floor.storage.open import open_storage
from robot_recorder.floor.storage.port import ObjectStorage, StorageError, StorageTrouble
from support.part_server import md5_of, send_part
from support.s3_servers import S3Server

PART = 5 << 20  # the smallest that S3 takes, but for the last one
LONG_S = 600.0
STRANGE = [
    "bags/site/with space/a b_0.mcap", "bags/site/äöü-機器人/ü_0.mcap", "bags/site/it's/\"q\"&<x>_0.mcap",
    "bags/site/100%25+?#=;,@!$()*~/a_0.mcap", "bags/site/" + "x" * 200 + "/" + "y" * 207 + ".mcap",
    "/".join(["k" * 100] * 9),
]  # fmt: skip
NO_KEYS = [
    "", "/a", "a/", "a//b", "../a", "a/../../b", "a/./b", ".uploads/x", "a/.b", "a\\b", "a\nb", "a\0b", "a\ud800",
    "x" * 256, "/".join(["k" * 200] * 6), "a/\u202e",
]  # fmt: skip


@dataclass(frozen=True)
class StoragePlace:
    """A storage under test.

    Attributes:
        open: opens it anew, as another process would.
        base_url: of the centre, for relative addresses of parts.
        strict: whether it checks MD5, signature, expiry and age; moto does not.
    """

    open: Callable[[], ObjectStorage]
    base_url: str
    strict: bool = True

    @cached_property
    def storage(self) -> ObjectStorage:
        """Return the one that most tests use: boto3 takes half a second to open one."""
        return self.open()


def s3_place(server: S3Server, bucket: str, strict: bool = True) -> StoragePlace:
    """Return a bucket as a place, opened with the credentials of its owner."""

    def opened() -> ObjectStorage:
        with server.user.asking():
            return open_storage(server.url(bucket, "pre/fix"))

    return StoragePlace(opened, "", strict)


def content(size: int, seed: int = 1) -> bytes:
    """Return bytes that are not all the same."""
    return random.Random(seed).randbytes(size)


def refused(call: Callable[..., object], *args: object) -> StorageTrouble:
    """Return the trouble of a call that must be refused."""
    with pytest.raises(StorageError) as caught:
        call(*args)
    assert str(caught.value)
    return caught.value.trouble


def pieces(data: bytes) -> dict[int, bytes]:
    """Return the parts of an object."""
    return {1 + at // PART: data[at : at + PART] for at in range(0, len(data), PART)}


def send(
    place: StoragePlace, storage: ObjectStorage, key: str, upload: str, number: int, data: bytes
) -> str:
    """Send a part; return its etag."""
    target = storage.part_target(key, upload, number, len(data), md5_of(data), LONG_S)
    status, etag, body = send_part(target, place.base_url, data)
    assert status == 200, body
    assert etag == hashlib.md5(data).hexdigest()
    return etag


def upload_whole(place: StoragePlace, storage: ObjectStorage, key: str, data: bytes) -> None:
    """Store an object in parts."""
    upload = storage.begin(key)
    etags = {n: send(place, storage, key, upload, n, part) for n, part in pieces(data).items()}
    storage.complete(key, upload, etags)


class StorageSuite:
    """The tests; ``place`` is a fixture of the subclass, ``storage`` opens it."""

    @pytest.fixture
    def storage(self, place: StoragePlace) -> ObjectStorage:
        return place.storage

    def test_a_check_leaves_nothing(self, storage: ObjectStorage) -> None:
        storage.check()
        assert list(storage.keys("check")) == []
        assert [key for key, _ in storage.unfinished(0) if key.startswith("check")] == []

    def test_what_was_put_is_read_back_also_in_ranges_and_chunks(
        self, storage: ObjectStorage
    ) -> None:
        data = content(3_000_000)
        storage.put("put/a", b"old")
        storage.put("put/a", data)
        assert storage.get("put/a") == data
        assert storage.size("put/a") == len(data)
        assert storage.get("put/a", 10, 20) == data[10:20]
        assert storage.get("put/a", 2_999_990) == data[-10:]
        assert storage.get("put/a", 2_999_990, 5_000_000) == data[-10:]
        assert storage.get("put/a", 7, 7) == b""
        assert storage.get("put/a", 3_000_000) == storage.get("put/a", 4_000_000, 4_000_001) == b""
        chunks = list(storage.chunks("put/a"))
        assert b"".join(chunks) == data
        assert max(map(len, chunks)) <= 1 << 20
        assert refused(lambda: storage.get("put/a", 5, 4)) is StorageTrouble.WRONG

    def test_an_object_may_be_empty(self, storage: ObjectStorage) -> None:
        storage.put("empty/a", b"")
        assert storage.size("empty/a") == 0
        assert storage.get("empty/a") == storage.get("empty/a", 0, 4) == b""
        assert b"".join(storage.chunks("empty/a")) == b""
        assert list(storage.keys("empty/")) == [("empty/a", 0)]

    def test_a_missing_object_is_missing_and_may_be_deleted(self, storage: ObjectStorage) -> None:
        assert storage.size("none/a") is None
        storage.delete("none/a")
        assert refused(lambda: storage.get("none/a")) is StorageTrouble.MISSING
        assert refused(lambda: storage.get("none/a", 1, 1)) is StorageTrouble.MISSING
        assert refused(lambda: list(storage.chunks("none/a"))) is StorageTrouble.MISSING
        assert list(storage.keys("none/")) == []
        storage.put("none/a", b"x")
        storage.delete("none/a")
        storage.delete("none/a")
        assert storage.size("none/a") is None

    def test_keys_are_sorted_and_begin_with_the_prefix(self, storage: ObjectStorage) -> None:
        keys = [
            "l/a/b/0",
            "l/a/bb/0",
            "l/a.b/0",
            "l/a/b.x",
            "l/a-b/0",
            "l/ä",
            "l/z",
            "m/0",
            "l/a/b/10",
            "l/a/b/9",
        ]
        for key in keys:
            storage.put(key, key.encode())
        mine = sorted(key for key in keys if key.startswith("l/"))
        assert list(storage.keys("l/")) == [(key, len(key.encode())) for key in mine]
        assert [k for k, _ in storage.keys("l/a/bb/")] == ["l/a/bb/0"]
        assert [k for k, _ in storage.keys("l/a/b/")] == ["l/a/b/0", "l/a/b/10", "l/a/b/9"]
        assert [k for k, _ in storage.keys("l/a/b")] == [k for k in mine if k.startswith("l/a/b")]
        assert set(mine) <= {key for key, _ in storage.keys("")}

    @pytest.mark.parametrize("key", STRANGE)
    def test_strange_keys_are_kept_as_they_are(
        self, place: StoragePlace, storage: ObjectStorage, key: str
    ) -> None:
        upload_whole(place, storage, key, b"in parts")
        storage.put(key + "2", b"at once")
        begin = key.rpartition("/")[0] + "/"
        assert list(storage.keys(begin)) == [(key, 8), (key + "2", 7)]
        assert storage.get(key) == b"in parts"
        storage.delete(key)
        storage.delete(key + "2")
        assert list(storage.keys(begin)) == []

    @pytest.mark.parametrize("key", NO_KEYS)
    def test_keys_that_lead_elsewhere_are_refused(self, storage: ObjectStorage, key: str) -> None:
        for call in (
            lambda: storage.put(key, b""), lambda: storage.get(key), lambda: storage.size(key),
            lambda: storage.delete(key), lambda: storage.begin(key), lambda: list(storage.chunks(key)),
            lambda: storage.part_target(key, "0" * 32, 1, 1, md5_of(b"x"), 9), lambda: storage.parts(key, "0" * 32),
            lambda: storage.complete(key, "0" * 32, {1: "0" * 32}), lambda: storage.abort(key, "0" * 32),
        ):  # fmt: skip
            assert refused(call) is StorageTrouble.WRONG
        assert refused(lambda: list(storage.keys("../"))) is StorageTrouble.WRONG
        assert refused(lambda: list(storage.keys(".uploads/"))) is StorageTrouble.WRONG

    def test_parts_come_out_of_order_and_in_parallel(
        self, place: StoragePlace, storage: ObjectStorage
    ) -> None:
        data = content(2 * PART + 12_345)
        upload = storage.begin("many/a_0.mcap")
        assert storage.size("many/a_0.mcap") is None
        with ThreadPoolExecutor(3) as pool:
            sent = {n: pool.submit(send, place, storage, "many/a_0.mcap", upload, n, part)
                    for n, part in reversed(pieces(data).items())}  # fmt: skip
            etags = {n: done.result() for n, done in sent.items()}
        found = storage.parts("many/a_0.mcap", upload)
        assert {n: part.etag for n, part in found.items()} == etags
        assert [part.size for _, part in sorted(found.items())] == [PART, PART, 12_345]
        assert storage.size("many/a_0.mcap") is None
        storage.complete("many/a_0.mcap", upload, etags)
        assert (
            hashlib.sha256(b"".join(storage.chunks("many/a_0.mcap"))).digest()
            == hashlib.sha256(data).digest()
        )
        assert list(storage.keys("many/")) == [("many/a_0.mcap", len(data))]

    def test_an_upload_goes_on_after_a_crash(
        self, place: StoragePlace, storage: ObjectStorage
    ) -> None:
        data = content(PART + 10, seed=2)
        upload = storage.begin("crash/a")
        send(place, storage, "crash/a", upload, 1, data[:PART])
        after = place.open()
        have = after.parts("crash/a", upload)
        assert list(have) == [1]
        last = send(place, after, "crash/a", upload, 2, data[PART:])
        after.complete("crash/a", upload, {1: have[1].etag, 2: last})
        assert after.get("crash/a") == data

    def test_a_part_that_comes_again_changes_nothing(
        self, place: StoragePlace, storage: ObjectStorage
    ) -> None:
        upload = storage.begin("again/a")
        with ThreadPoolExecutor(4) as pool:
            sent = [
                pool.submit(send, place, storage, "again/a", upload, 1, b"part") for _ in range(8)
            ]
            etags = {done.result() for done in sent}
        assert len(etags) == 1 == len(storage.parts("again/a", upload))
        storage.complete("again/a", upload, {1: etags.pop()})
        assert storage.get("again/a") == b"part"

    def test_a_part_is_replaced_by_a_later_one(
        self, place: StoragePlace, storage: ObjectStorage
    ) -> None:
        upload = storage.begin("later/a")
        first = send(place, storage, "later/a", upload, 1, b"first")
        time.sleep(0.01)
        second = send(place, storage, "later/a", upload, 1, b"second")
        assert storage.parts("later/a", upload)[1].etag == second != first
        storage.complete("later/a", upload, {1: second})
        assert storage.get("later/a") == b"second"

    def test_complete_may_be_asked_twice_and_leaves_no_upload(
        self, place: StoragePlace, storage: ObjectStorage
    ) -> None:
        upload = storage.begin("twice/a")
        etags = {1: send(place, storage, "twice/a", upload, 1, b"part")}
        storage.complete("twice/a", upload, etags)
        storage.complete("twice/a", upload, etags)
        place.open().complete("twice/a", upload, etags)
        assert storage.get("twice/a") == b"part"
        assert ("twice/a", upload) not in set(storage.unfinished(0))
        storage.abort("twice/a", upload)
        assert storage.get("twice/a") == b"part"
        storage.delete("twice/a")
        assert refused(lambda: storage.complete("twice/a", upload, etags)) is StorageTrouble.MISSING

    def test_an_object_is_replaced_as_a_whole(
        self, place: StoragePlace, storage: ObjectStorage
    ) -> None:
        storage.put("whole/a", b"old")
        upload = storage.begin("whole/a")
        etags = {1: send(place, storage, "whole/a", upload, 1, b"new content")}
        assert storage.get("whole/a") == b"old"
        storage.complete("whole/a", upload, etags)
        assert storage.get("whole/a") == b"new content"

    def test_parts_that_have_not_arrived_are_not_put_together(
        self, place: StoragePlace, storage: ObjectStorage
    ) -> None:
        upload = storage.begin("gaps/a")
        etag = send(place, storage, "gaps/a", upload, 1, content(PART))
        never = hashlib.md5(b"never").hexdigest()
        for parts in (
            {},
            {2: etag},
            {1: etag, 3: etag},
            {0: etag, 1: etag},
            {1: never},
            {1: etag, 2: never},
        ):
            assert refused(storage.complete, "gaps/a", upload, parts) is StorageTrouble.WRONG
        assert storage.size("gaps/a") is None
        storage.complete("gaps/a", upload, {1: etag})
        assert storage.size("gaps/a") == PART

    def test_aborted_and_unknown_uploads_take_nothing(
        self, place: StoragePlace, storage: ObjectStorage
    ) -> None:
        upload = storage.begin("gone/a")
        etag = send(place, storage, "gone/a", upload, 1, b"part")
        target = storage.part_target("gone/a", upload, 2, 4, md5_of(b"part"), LONG_S)
        storage.abort("gone/a", upload)
        storage.abort("gone/a", upload)
        assert send_part(target, place.base_url, b"part")[0] in (
            (404,) if place.strict else (404, 500)
        )
        assert refused(lambda: storage.parts("gone/a", upload)) is StorageTrouble.MISSING
        assert (
            refused(lambda: storage.complete("gone/a", upload, {1: etag})) is StorageTrouble.MISSING
        )
        assert storage.size("gone/a") is None
        assert "gone/a" not in dict(storage.unfinished(0))

    def test_unfinished_uploads_are_listed_by_age(
        self, place: StoragePlace, storage: ObjectStorage
    ) -> None:
        uploads = {(key, storage.begin(key)) for key in ("left/a b", "left/ü", "left/a b")}
        assert len(uploads) == 3
        assert {
            found for found in storage.unfinished(-60) if found[0].startswith("left/")
        } == uploads
        if place.strict:  # moto's uploads all began in 2010
            assert [f for f in storage.unfinished(3600) if f[0].startswith("left/")] == []

    def test_other_content_than_announced_is_refused(
        self, place: StoragePlace, storage: ObjectStorage
    ) -> None:
        if not place.strict:
            pytest.skip("it does not check parts")
        upload = storage.begin("wrong/a")
        target = storage.part_target("wrong/a", upload, 1, 4, md5_of(b"part"), LONG_S)
        for data in (b"part too long", b"pxrt", b"par", b""):
            status, _, body = send_part(target, place.base_url, data)
            assert status in (400, 403), body
        assert storage.parts("wrong/a", upload) == {}
        send(place, storage, "wrong/a", upload, 1, b"part")

    def test_no_checksum_of_the_server_is_trusted(
        self, place: StoragePlace, storage: ObjectStorage
    ) -> None:
        """A wrong x-amz-checksum-sha256 is accepted by all stand-ins; the MD5 is what refuses."""
        if not place.strict:
            pytest.skip("it does not check parts")
        upload = storage.begin("sum/a")
        target = storage.part_target("sum/a", upload, 1, 4, md5_of(b"part"), LONG_S)
        assert not [name for name in target.headers if name.lower().startswith("x-amz-checksum")]
        assert "x-amz-checksum" not in target.url.lower()
        assert target.headers["Content-MD5"] == md5_of(b"part")

    def test_expired_and_forged_addresses_are_refused(
        self, place: StoragePlace, storage: ObjectStorage
    ) -> None:
        if not place.strict:
            pytest.skip("it does not check parts")
        upload = storage.begin("late/a")
        target = storage.part_target("late/a", upload, 1, 4, md5_of(b"part"), 1.0)
        other = storage.part_target("late/a", upload, 2, 4, md5_of(b"part"), LONG_S)
        forged = type(other)(other.url.replace("part=2", "part=3").replace("partNumber=2", "partNumber=3"),
                             other.headers)  # fmt: skip
        assert forged.url != other.url
        time.sleep(2.1)  # both count whole seconds
        for refused_target in (target, forged):
            status, _, body = send_part(refused_target, place.base_url, b"part")
            assert (status, reply_trouble(status, body)[0]) == (403, StorageTrouble.DENIED), body
        assert storage.parts("late/a", upload) == {}

    def test_invalid_parts_get_no_address(self, storage: ObjectStorage) -> None:
        upload = storage.begin("odd/a")
        for number, size in ((0, 1), (-1, 1), (10_001, 1), (1, -1)):
            args = ("odd/a", upload, number, size, md5_of(b""), 9)
            assert refused(storage.part_target, *args) is StorageTrouble.WRONG

    def test_many_threads_may_put_the_same_object(
        self, place: StoragePlace, storage: ObjectStorage
    ) -> None:
        if not place.strict:
            pytest.skip("moto closes the file that another request reads")
        contents = [bytes([n]) * 50_000 for n in range(6)]
        stop = threading.Event()
        seen = set()

        def read() -> None:
            while not stop.is_set():
                seen.add(storage.get("busy/a"))

        storage.put("busy/a", contents[0])
        reader = threading.Thread(target=read)
        reader.start()
        try:
            with ThreadPoolExecutor(3) as pool:
                list(pool.map(lambda data: storage.put("busy/a", data), contents * 3))
        finally:
            stop.set()
            reader.join()
        assert seen <= set(contents)
        assert storage.get("busy/a") in contents
