"""Holds also: directory.py, open.py, keys.py, errors.py."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.disks import fill, small_disk
from support.part_server import md5_of, part_server
from support.s3_servers import S3Server, S3User, moto_server
from support.storage_suite import LONG_S, StoragePlace, StorageSuite, refused, s3_place

from robot_recorder.floor.storage.directory import UPLOADS, DirectoryStorage
from robot_recorder.floor.storage.errors import disk_error, reply_trouble, s3_trouble
from robot_recorder.floor.storage.keys import checked_key, checked_prefix, key_problem
from robot_recorder.floor.storage.open import open_storage
from robot_recorder.floor.storage.port import PartFact, PartTarget, StorageError, StorageTrouble
from robot_recorder.model.errors import ConfigError

SECRET = b"for tests"


def query_of(target: PartTarget) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(target.url).query, keep_blank_values=True))


def take(storage: DirectoryStorage, key: str, upload: str, number: int, data: bytes) -> PartFact:
    target = storage.part_target(key, upload, number, len(data), md5_of(data), LONG_S)
    return storage.take_part(query_of(target), [data], time.time())


def left_in(storage: DirectoryStorage) -> list[str]:
    return sorted(os.listdir(storage.root / UPLOADS))


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    return DirectoryStorage(tmp_path / "storage", SECRET)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoragePlace]:
    root = tmp_path_factory.mktemp("storage")
    with part_server(DirectoryStorage(root, SECRET)) as url:
        yield StoragePlace(lambda: DirectoryStorage(root, SECRET), url)


class TestDirectory(StorageSuite):
    @pytest.fixture
    def place(self, directory: StoragePlace) -> StoragePlace:
        return directory


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    pytest.importorskip("boto3")
    with moto_server(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="module")
def bucket(server: S3Server) -> StoragePlace:
    return s3_place(server, server.bucket(), strict=False)


@pytest.mark.floor
class TestMoto(StorageSuite):
    @pytest.fixture
    def place(self, bucket: StoragePlace) -> StoragePlace:
        return bucket

    def test_two_prefixes_of_a_bucket_are_two_storages(self, server: S3Server) -> None:
        bucket = server.bucket()
        with server.user.asking():
            one, two = (open_storage(server.url(bucket, name)) for name in ("one", "one2"))
        one.put("a", b"1")
        upload = one.begin("b")
        assert list(two.keys("")) == []
        assert list(two.unfinished(-60)) == []
        assert list(one.unfinished(-60)) == [("b", upload)]

    def test_a_wrong_bucket_is_missing_everywhere(self, server: S3Server) -> None:
        with server.user.asking():
            wrong = open_storage(server.url("there-is-none"))
        for call in (wrong.check, lambda: wrong.size("a"), lambda: wrong.get("a"), lambda: wrong.put("a", b""),
                     lambda: list(wrong.keys("")), lambda: wrong.begin("a")):  # fmt: skip
            assert refused(call) is StorageTrouble.MISSING

    def test_a_server_that_is_gone_is_unavailable(self, tmp_path: Path) -> None:
        with moto_server(tmp_path) as server, server.user.asking():
            storage = open_storage(server.url(server.bucket()))
            storage.put("a", b"1")
        for call in (lambda: storage.get("a"), lambda: storage.size("a"), storage.check):
            assert refused(call) is StorageTrouble.UNAVAILABLE


# Directory.


def test_objects_are_plain_files_that_the_group_may_read(storage: DirectoryStorage) -> None:
    storage.put("bags/site/e1/metadata.yaml", b"text")
    path = storage.root / "bags/site/e1/metadata.yaml"
    assert path.read_bytes() == b"text"
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.parent.stat().st_mode & 0o777 == 0o750
    storage.delete("bags/site/e1/metadata.yaml")
    assert sorted(os.listdir(storage.root)) == [UPLOADS]
    assert left_in(storage) == []


def test_no_link_is_followed(storage: DirectoryStorage, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("secret")
    storage.put("bags/a", b"")
    (storage.root / "bags/folder").symlink_to(outside)
    (storage.root / "bags/link").symlink_to(outside / "file")
    for call in (lambda: storage.get("bags/folder/file"), lambda: storage.put("bags/folder/new", b"x"),
                 lambda: storage.delete("bags/folder/file"), lambda: storage.begin("bags/folder/new")):  # fmt: skip
        assert refused(call) is StorageTrouble.WRONG
    assert refused(lambda: storage.get("bags/link")) is StorageTrouble.MISSING
    assert storage.size("bags/link") is None
    storage.put("bags/link", b"mine")
    assert (outside / "file").read_text() == "secret"
    assert [key for key, _ in storage.keys("")] == ["bags/a", "bags/link"]
    assert os.listdir(outside) == ["file"]


def test_a_disk_that_is_not_mounted_any_more_is_missing_and_not_empty(
    storage: DirectoryStorage,
) -> None:
    storage.put("bags/a", b"x")
    storage.root.rename(storage.root.with_name("unmounted"))
    storage.root.mkdir()
    for call in (lambda: storage.size("bags/a"), lambda: list(storage.keys("")), lambda: storage.get("bags/a"),
                 lambda: storage.put("bags/a", b""), lambda: storage.delete("bags/a")):  # fmt: skip
        assert refused(call) is StorageTrouble.MISSING
    assert os.listdir(storage.root) == []


def test_a_storage_below_a_missing_directory_is_missing(tmp_path: Path) -> None:
    storage = DirectoryStorage(tmp_path / "mount" / "storage", SECRET)
    assert refused(storage.check) is StorageTrouble.MISSING
    assert not (tmp_path / "mount").exists()


def test_a_file_is_no_storage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refused(DirectoryStorage(tmp_path / "file", SECRET).check) is StorageTrouble.WRONG


def test_an_object_cannot_be_the_beginning_of_another(storage: DirectoryStorage) -> None:
    storage.put("a/b", b"")
    assert refused(lambda: storage.put("a", b"")) is StorageTrouble.WRONG
    assert refused(lambda: storage.put("a/b/c", b"")) is StorageTrouble.WRONG
    assert storage.size("a/b/c") is storage.size("a") is None
    assert left_in(storage) == []


def test_a_full_disk_refuses_and_keeps_what_was_there(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        storage = DirectoryStorage(disk / "storage", SECRET)
        storage.put("a", b"old")
        upload = storage.begin("b")
        fact = take(storage, "b", upload, 1, b"x" * 600_000)
        fill(disk / "ballast")
        assert refused(lambda: storage.put("a", bytes(100_000))) is StorageTrouble.FULL
        assert refused(lambda: take(storage, "b", upload, 2, bytes(100_000))) is StorageTrouble.FULL
        assert refused(storage.check) is StorageTrouble.FULL
        assert storage.get("a") == b"old"
        assert storage.parts("b", upload) == {1: fact}
        (disk / "ballast").unlink()
        second = take(storage, "b", upload, 2, b"y" * 600_000)
        # Two parts need their size again to become one object: 2.4 MB on a disk of 2 MiB.
        both = {1: fact.etag, 2: second.etag}
        assert refused(lambda: storage.complete("b", upload, both)) is StorageTrouble.FULL
        assert storage.size("b") is None
        assert left_in(storage) == [upload]
        assert sorted(storage.parts("b", upload)) == [1, 2]


def test_a_body_that_breaks_off_leaves_nothing(storage: DirectoryStorage) -> None:
    upload = storage.begin("a")
    target = storage.part_target("a", upload, 1, 100, md5_of(bytes(100)), LONG_S)

    def broken() -> Iterator[bytes]:
        yield bytes(50)
        raise ConnectionResetError(errno.ECONNRESET, "reset by peer")

    assert (
        refused(lambda: storage.take_part(query_of(target), broken(), time.time()))
        is StorageTrouble.UNAVAILABLE
    )
    assert os.listdir(storage.root / UPLOADS / upload) == ["upload.json"]


def test_an_endless_body_is_cut_at_the_announced_size(storage: DirectoryStorage) -> None:
    upload = storage.begin("a")
    target = storage.part_target("a", upload, 1, 100, md5_of(bytes(100)), LONG_S)
    count = 0

    def endless() -> Iterator[bytes]:
        nonlocal count
        while True:
            count += 1
            yield bytes(60)

    assert (
        refused(lambda: storage.take_part(query_of(target), endless(), time.time()))
        is StorageTrouble.WRONG
    )
    assert count == 2


@given(field=st.sampled_from(["key", "upload", "part", "size", "md5", "expires", "sig"]),
       value=st.one_of(st.none(), st.text(max_size=40), st.integers().map(str)))  # fmt: skip
def test_an_address_with_any_other_field_is_denied(field: str, value: str | None) -> None:
    storage = DirectoryStorage(Path("/nowhere/storage"), SECRET)
    query = query_of(storage.part_target("a/b", "0" * 32, 1, 4, md5_of(b"part"), LONG_S))
    if query[field] == value:
        return
    if value is None:
        del query[field]
    else:
        query[field] = value
    assert refused(lambda: storage.signed_part(query, time.time())) is StorageTrouble.DENIED


def test_an_address_of_another_secret_or_time_is_denied(storage: DirectoryStorage) -> None:
    other = DirectoryStorage(storage.root, b"another")
    target = other.part_target("a", "0" * 32, 1, 4, md5_of(b"part"), LONG_S)
    assert (
        refused(lambda: storage.signed_part(query_of(target), time.time())) is StorageTrouble.DENIED
    )
    part = other.signed_part(query_of(target), time.time() + LONG_S - 2)
    assert (part.key, part.number, part.size, part.md5) == (
        "a",
        1,
        4,
        hashlib.md5(b"part").hexdigest(),
    )
    late = time.time() + LONG_S + 1
    assert refused(lambda: other.signed_part(query_of(target), late)) is StorageTrouble.DENIED


def test_an_address_is_relative_and_tells_no_secret(storage: DirectoryStorage) -> None:
    target = storage.part_target("a b/ü", "0" * 32, 1, 4, md5_of(b"part"), LONG_S)
    assert target.url.startswith("/agent/part?key=a+b%2F%C3%BC&upload=")
    assert SECRET.decode() not in target.url
    assert re.search(r"&sig=[0-9a-f]{64}$", target.url)
    with pytest.raises(ValueError, match="secret"):
        DirectoryStorage(storage.root, b"")


def test_an_upload_belongs_to_one_key(storage: DirectoryStorage) -> None:
    upload = storage.begin("a")
    fact = take(storage, "a", upload, 1, b"part")
    assert refused(lambda: take(storage, "b", upload, 1, b"part")) is StorageTrouble.MISSING
    assert refused(lambda: storage.parts("b", upload)) is StorageTrouble.MISSING
    storage.abort("b", upload)
    assert refused(lambda: storage.complete("b", upload, {1: fact.etag})) is StorageTrouble.MISSING
    storage.complete("a", upload, {1: fact.etag})
    assert refused(lambda: storage.complete("b", upload, {1: fact.etag})) is StorageTrouble.MISSING


@pytest.mark.parametrize(
    "upload", ["", "..", "x", "0" * 31, "0" * 32 + "/..", "../" + "0" * 32, "A" * 32]
)
def test_an_upload_with_another_name_is_unknown(storage: DirectoryStorage, upload: str) -> None:
    assert refused(lambda: storage.parts("a", upload)) is StorageTrouble.MISSING
    storage.abort("a", upload)
    assert refused(lambda: storage.complete("a", upload, {1: "0" * 32})) is StorageTrouble.MISSING


def test_two_that_complete_at_once_both_succeed(storage: DirectoryStorage) -> None:
    for attempt in range(10):
        key = f"race/{attempt}"
        upload = storage.begin(key)
        etags = {n: take(storage, key, upload, n, bytes([n]) * 100_000).etag for n in (1, 2)}
        failures: list[BaseException] = []
        together = threading.Barrier(3)

        def run(key: str = key, upload: str = upload, etags: dict[int, str] = etags,
                failures: list[BaseException] = failures, together: threading.Barrier = together) -> None:  # fmt: skip
            together.wait()
            try:
                DirectoryStorage(storage.root, SECRET).complete(key, upload, etags)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert storage.size(key) == 200_000


def test_folders_that_others_delete_while_objects_come_do_no_harm(
    storage: DirectoryStorage,
) -> None:
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            storage.put("deep/er/x", b"")
            storage.delete("deep/er/x")

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for number in range(100):
            storage.put(f"deep/er/{number}", b"x")
            storage.delete(f"deep/er/{number}")
    finally:
        stop.set()
        thread.join()
    storage.put("deep/er/last", b"x")
    assert storage.get("deep/er/last") == b"x"


@contextmanager
def crash_at(patch: pytest.MonkeyPatch, name: str, call: int) -> Iterator[None]:
    """Let the process end at the n-th call of a function of ``os``, as kill -9 would."""
    real, count = getattr(os, name), 0

    def ends(*args: object, **named: object) -> object:
        nonlocal count
        count += 1
        if count == call:
            raise KeyboardInterrupt
        return real(*args, **named)

    with patch.context() as inner:
        inner.setattr(os, name, ends)
        yield


@pytest.mark.parametrize("name", ["fsync", "replace", "rename", "link"])
@pytest.mark.parametrize("call", range(1, 8))
@pytest.mark.parametrize("sizes", [(10,), (10, 20)])
def test_complete_can_be_repeated_wherever_it_was_interrupted(
    storage: DirectoryStorage,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    call: int,
    sizes: tuple[int, ...],
) -> None:
    data = [bytes([n]) * size for n, size in enumerate(sizes, 1)]
    upload = storage.begin("a/b")
    etags = {n: take(storage, "a/b", upload, n, part).etag for n, part in enumerate(data, 1)}
    with crash_at(monkeypatch, name, call):
        try:
            storage.complete("a/b", upload, etags)
        except KeyboardInterrupt:
            pass
    after = DirectoryStorage(storage.root, SECRET)
    assert after.size("a/b") in (None, sum(sizes))
    after.complete("a/b", upload, etags)
    assert after.get("a/b") == b"".join(data)


@pytest.mark.parametrize("refusal", [errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS])
def test_file_systems_without_links_and_range_copies_work(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(os, "link", refuses)
    monkeypatch.setattr(os, "copy_file_range", refuses)
    for sizes in ((5,), (5, 2_000_000, 7)):
        data = [bytes([n]) * size for n, size in enumerate(sizes, 1)]
        upload = storage.begin("a")
        etags = {n: take(storage, "a", upload, n, part).etag for n, part in enumerate(data, 1)}
        storage.complete("a", upload, etags)
        assert storage.get("a") == b"".join(data)


def test_a_check_deletes_what_crashes_left_after_a_day(storage: DirectoryStorage) -> None:
    storage.check()
    upload = storage.begin("a")
    (storage.root / UPLOADS / "new-x").mkdir()
    for name in ("tmp-old", "tmp-young", "x.done"):
        (storage.root / UPLOADS / name).write_text("x")
    old = time.time() - 90_000
    for name in ("tmp-old", "new-x", "x.done", upload):
        os.utime(storage.root / UPLOADS / name, (old, old))
    storage.check()
    assert left_in(storage) == sorted([upload, "tmp-young"])


def test_a_damaged_upload_is_unknown(storage: DirectoryStorage) -> None:
    for text in ("", "{", "[]", json.dumps({"key": "a"}), json.dumps({"key": "a", "begun_s": "x"})):
        upload = storage.begin("a")
        (storage.root / UPLOADS / upload / "upload.json").write_text(text)
        assert refused(storage.parts, "a", upload) is StorageTrouble.MISSING
    assert list(storage.unfinished(0)) == []
    for name in left_in(storage):
        os.utime(storage.root / UPLOADS / name, (0, 0))
    storage.check()
    assert left_in(storage) == []


# Keys.


@given(st.text(max_size=40))
def test_what_is_a_key_stays_below_the_root(key: str) -> None:
    if not key_problem(key):
        path = Path("/root") / key
        assert os.path.normpath(path) == str(path)
        assert path.is_relative_to("/root") and path != Path("/root")
        assert checked_key(key) == key
    else:
        with pytest.raises(StorageError, match="cannot be the key"):
            checked_key(key)


def test_a_prefix_may_end_anywhere_in_a_key() -> None:
    for prefix in ("", "a", "a/", "a/b"):
        assert checked_prefix(prefix) == prefix
    for prefix in ("/", "a//", "../", ".", "a/.", "a\n"):
        assert refused(checked_prefix, prefix) is StorageTrouble.WRONG


# Errors.


@pytest.mark.parametrize("code, status, trouble", [
    ("QuotaExceeded", 403, "full"), ("", 507, "full"), ("EntityTooLarge", 400, "full"), ("", 413, "full"),
    ("AccessDenied", 403, "denied"), ("ExpiredToken", 400, "denied"), ("InvalidAccessKeyId", 403, "denied"),
    ("SignatureDoesNotMatch", 403, "denied"), ("", 403, "denied"), ("", 401, "denied"),
    ("NoSuchBucket", 404, "missing"), ("", 404, "missing"), ("NoSuchUpload", 404, "missing"),
    ("BadDigest", 400, "wrong"), ("InvalidDigest", 400, "wrong"), ("SomethingNew", 400, "wrong"),
    ("SlowDown", 503, "unavailable"), ("InternalError", 500, "unavailable"), ("", 502, "unavailable"),
    ("", 429, "unavailable"), ("", 0, "unavailable"), ("", 200, "unavailable"),
])  # fmt: skip
def test_answers_of_servers_are_understood(code: str, status: int, trouble: str) -> None:
    assert s3_trouble(code, status) == StorageTrouble(trouble)
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>x</Message></Error>".encode()
    assert reply_trouble(status, body) == (StorageTrouble(trouble), code)
    assert reply_trouble(status, b"\xff<html>")[1] == ""


@pytest.mark.parametrize("number, trouble", [
    (errno.ENOSPC, "full"), (errno.EDQUOT, "full"), (errno.EROFS, "denied"), (errno.EACCES, "denied"),
    (errno.EIO, "unavailable"), (errno.ESTALE, "unavailable"), (errno.ENOENT, "missing"),
])  # fmt: skip
def test_errors_of_disks_are_understood(number: int, trouble: str) -> None:
    found = disk_error(OSError(number, os.strerror(number)), "/srv/x cannot be written")
    assert found.trouble == StorageTrouble(trouble)
    assert str(found) == f"/srv/x cannot be written: {os.strerror(number)}"


# URLs.


def test_a_url_names_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in (str(tmp_path / "a b"), (tmp_path / "a b").as_uri(), "a b"):
        storage = open_storage(url, SECRET, "/elsewhere")
        assert isinstance(storage, DirectoryStorage)
        assert storage.root == tmp_path / "a b"
        assert storage.url == (tmp_path / "a b").as_uri()
        assert storage.part_target("a", "0" * 32, 1, 1, md5_of(b"x"), 9).url.startswith(
            "/elsewhere?"
        )
    open_storage(str(tmp_path / "c")).check()


@pytest.mark.parametrize("url", ["", "http://host/x", "file://host/x", "gs://b", "s3://", "s3:///x", "s3://b?endpont=x",
                                 "s3://key:secret@bucket/x", "s3://b/../x", "s3://b?addressing=x", "a\0b"])  # fmt: skip
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_storage(url)
    assert "secret" not in str(caught.value).replace("AWS_SECRET_ACCESS_KEY", "")


def test_a_url_names_a_bucket() -> None:
    pytest.importorskip("boto3")
    with S3User("k", "s").asking():
        storage = open_storage("s3://bucket/a%20b/c?endpoint=http://127.0.0.1:9&region=eu-x")
    assert storage.url == "s3://bucket/a%20b/c?endpoint=http://127.0.0.1:9&region=eu-x"
    assert open_storage(storage.url).url == storage.url
