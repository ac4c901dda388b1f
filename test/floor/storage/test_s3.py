"""S3 on a real server: Ceph's radosgw with an object store in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("boto3")

from support.part_server import md5_of, send_part
from support.s3_servers import S3Server, S3User, radosgw
from support.storage_suite import LONG_S, StoragePlace, StorageSuite, refused, s3_place, send

from robot_recorder.floor.storage.errors import reply_trouble
from robot_recorder.floor.storage.open import open_storage
from robot_recorder.floor.storage.port import StorageTrouble

pytestmark = pytest.mark.floor


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with radosgw(tmp_path_factory.mktemp("radosgw")) as server:
        yield server


@pytest.fixture(scope="module")
def bucket(server: S3Server) -> str:
    return server.bucket()


@pytest.fixture(scope="module")
def whole(server: S3Server, bucket: str) -> StoragePlace:
    return s3_place(server, bucket)


class TestRadosgw(StorageSuite):
    @pytest.fixture
    def place(self, whole: StoragePlace) -> StoragePlace:
        return whole


def test_a_wrong_bucket_is_missing(server: S3Server) -> None:
    with server.user.asking():
        wrong = open_storage(server.url("there-is-none"))
    for call in (wrong.check, lambda: wrong.size("a"), lambda: wrong.get("a"), lambda: wrong.put("a", b""),
                 lambda: list(wrong.keys("")), lambda: wrong.begin("a"), lambda: list(wrong.unfinished(0))):  # fmt: skip
        assert refused(call) is StorageTrouble.MISSING


@pytest.mark.parametrize("user", ["other", "unknown", "wrong secret"])
def test_who_has_no_right_is_denied(server: S3Server, bucket: str, user: str) -> None:
    asking = {
        "unknown": S3User("nobody", "nothing"),
        "wrong secret": S3User(server.user.key, "x"),
    }.get(user)
    with (asking or server.new_user("other")).asking():
        storage = open_storage(server.url(bucket))
    for call in (storage.check, lambda: storage.size("a"), lambda: storage.get("a"), lambda: storage.put("a", b""),
                 lambda: list(storage.keys("")), lambda: storage.begin("a"), lambda: list(storage.unfinished(0))):  # fmt: skip
        assert refused(call) is StorageTrouble.DENIED


def test_without_credentials_it_is_denied(server: S3Server, bucket: str) -> None:
    with server.user.asking(), pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_ACCESS_KEY_ID")
        patch.delenv("AWS_SECRET_ACCESS_KEY")
        storage = open_storage(server.url(bucket))
    assert refused(storage.check) is StorageTrouble.DENIED


def test_a_full_bucket_says_so_to_the_centre_and_to_the_robot(server: S3Server) -> None:
    bucket = server.bucket("small")
    with server.user.asking():
        storage = open_storage(server.url(bucket))
    storage.put("a", b"old")
    upload = storage.begin("b")
    server.limit(bucket, 100_000)
    assert refused(lambda: storage.put("a", bytes(200_000))) is StorageTrouble.FULL
    data = bytes(200_000)
    target = storage.part_target("b", upload, 1, len(data), md5_of(data), LONG_S)
    status, _, body = send_part(target, "", data)
    assert reply_trouble(status, body) == (StorageTrouble.FULL, "QuotaExceeded")
    assert storage.get("a") == b"old"
    assert storage.parts("b", upload) == {}
    server.limit(bucket, 1_000_000)
    etag = send(StoragePlace(lambda: storage, ""), storage, "b", upload, 1, data)
    storage.complete("b", upload, {1: etag})
    assert storage.size("b") == 200_000


def test_a_wrong_checksum_header_of_s3_is_accepted_which_is_why_none_is_trusted(
    server: S3Server, bucket: str
) -> None:
    with server.user.asking():
        storage = open_storage(server.url(bucket, "sums"))
    upload = storage.begin("a")
    target = storage.part_target("a", upload, 1, 4, md5_of(b"part"), LONG_S)
    lying = {**target.headers, "x-amz-checksum-sha256": md5_of(b"something else")}
    status, _, body = send_part(type(target)(target.url, lying), "", b"part")
    if status == 200:  # a server that checks it may refuse; nothing here depends on it
        assert storage.parts("a", upload)[1].size == 4
    assert send_part(target, "", b"pxrt")[0] in (400, 403), body
