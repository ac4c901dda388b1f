"""Episodes kept in an S3 bucket: at AWS, MinIO, Ceph and what speaks as they do.

Nothing relies on newer checksums (``x-amz-checksum-*``), which some servers accept unread: parts
and small objects carry Content-MD5, and the centre hashes what it reads back.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)

from robot_recorder.floor.storage.errors import s3_trouble
from robot_recorder.floor.storage.keys import (
    MOST_KEY_BYTES,
    checked_key,
    checked_part,
    checked_prefix,
    checked_sequence,
    key_problem,
)
from robot_recorder.floor.storage.port import PartFact, PartTarget, StorageError, StorageTrouble
from robot_recorder.model.errors import ConfigError

_CHUNK = 1 << 20
_CONNECT_S, _READ_S = 5.0, 60.0
_TRIES = 3  # of each request, within seconds; whoever asked tries again later
_CONNECTIONS = 32
_MOST_VALID_S = 7 * 86_400  # of a signed address
_NO_CREDENTIALS = (
    NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, TokenRetrievalError, SSOError,
)  # fmt: skip
_FIXES = {
    StorageTrouble.FULL: "free space, or raise the quota",
    StorageTrouble.DENIED: "check the credentials, their rights and the clock",
}


class S3Storage:
    """An ObjectStorage in a bucket, which must exist."""

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        endpoint: str = "",
        region: str = "",
        addressing: str = "",
    ) -> None:
        """Create it; nothing is sent yet. Credentials come from the environment and boto3's files.

        Args:
            bucket: its name.
            prefix: what all keys in the bucket begin with; empty: nothing.
            endpoint: URL of the server; empty: AWS.
            region: empty: as boto3 is configured, else us-east-1.
            addressing: ``path`` or ``virtual``; empty: path where there is an endpoint.

        Raises:
            ConfigError: prefix, endpoint or addressing is invalid.
        """
        self._where = "s3://" + bucket + (f"/{prefix}" if prefix else "")
        if prefix and key_problem(prefix):
            raise ConfigError(f"{self._where}: the prefix is invalid: {key_problem(prefix)}")
        if addressing not in ("", "path", "virtual"):
            raise ConfigError(f"{self._where}: addressing is path or virtual, not {addressing!r}")
        options = {"endpoint": endpoint, "region": region, "addressing": addressing}
        told = urlencode({name: value for name, value in options.items() if value}, safe=":/")
        self.url = (
            f"s3://{bucket}" + (f"/{quote(prefix)}" if prefix else "") + (told and f"?{told}")
        )
        self._bucket = bucket
        self._prefix = prefix + "/" if prefix else ""
        session = boto3.session.Session()
        try:
            self._client = session.client(
                "s3",
                endpoint_url=endpoint or None,
                region_name=region or session.region_name or "us-east-1",
                config=_config(addressing or ("path" if endpoint else "auto")),
            )
        except (ValueError, BotoCoreError) as error:
            raise ConfigError(f"{self._where} cannot be used: {error}") from error

    # Small objects.

    def check(self) -> None:
        """Write, read back and delete a small object, and begin an upload in parts."""
        key = f"check-{secrets.token_hex(8)}"
        if self.size(key) is not None:  # without the right to list, a missing object is "denied"
            raise StorageError(StorageTrouble.WRONG, f"{self._where} has an object {key}")
        self.put(key, key.encode())
        try:
            if self.get(key) != key.encode():
                raise StorageError(
                    StorageTrouble.WRONG, f"{self._where} gives back other bytes than were written"
                )
        finally:
            self.delete(key)
        self.abort(key, self.begin(key))

    def put(self, key: str, data: bytes) -> None:
        """Store a small object in place of an older one."""
        with self._asking(f"{key} cannot be stored"):
            self._client.put_object(**self._named(key), Body=data, ContentMD5=_md5(data))

    def get(self, key: str, begin: int = 0, end: int | None = None) -> bytes:
        """Return an object, or the bytes from ``begin`` to before ``end``."""
        if begin < 0 or (end is not None and end < begin):
            raise StorageError(StorageTrouble.WRONG, f"there is no range from {begin} to {end}")
        if begin == end:  # HTTP has no empty range
            if self.size(key) is None:
                raise StorageError(StorageTrouble.MISSING, f"{self._where} has no object {key}")
            return b""
        wanted = {}
        if begin or end is not None:
            wanted = {"Range": f"bytes={begin}-{'' if end is None else end - 1}"}
        with self._asking(f"{key} cannot be read"):
            try:
                reply = self._client.get_object(**self._named(key), **wanted)
            except ClientError as error:
                if _code(error)[0] == "InvalidRange" or _code(error)[1] == 416:  # behind the end
                    return b""
                raise
            with closing(reply["Body"]) as body:
                return bytes(body.read())

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yield an object in pieces."""
        with self._asking(f"{key} cannot be read back"):
            reply = self._client.get_object(**self._named(key))
            left = reply.get("ContentLength")  # a proxy that sends in chunks leaves it out
            with closing(reply["Body"]) as body:
                for data in body.iter_chunks(_CHUNK):
                    left = None if left is None else left - len(data)
                    yield data
        if left:
            raise StorageError(
                StorageTrouble.UNAVAILABLE, f"{key} of {self._where} came {left} bytes short"
            )

    def size(self, key: str) -> int | None:
        """Return the size of an object, bytes; None: it does not exist."""
        with self._asking(f"{key} cannot be looked up"):
            try:
                return int(self._client.head_object(**self._named(key))["ContentLength"])
            except ClientError as error:
                if _code(error)[1] != 404:
                    raise
            # A reply without a body does not tell a missing object from a missing bucket.
            self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix + key, MaxKeys=1)
        return None

    def keys(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield key and size of the objects whose key begins with ``prefix``, sorted by key."""
        whole = self._prefix + checked_prefix(prefix)
        pages = self._client.get_paginator("list_objects_v2")
        with self._asking("objects cannot be listed"):
            for page in pages.paginate(Bucket=self._bucket, Prefix=whole):
                for found in page.get("Contents", ()):
                    key = found["Key"][len(self._prefix) :]
                    if not key_problem(key):  # else somebody else's, such as a "folder"
                        yield key, int(found["Size"])

    def delete(self, key: str) -> None:
        """Delete an object; it may be missing."""
        with self._asking(f"{key} cannot be deleted"):
            self._client.delete_object(**self._named(key))

    # Uploads in parts.

    def begin(self, key: str) -> str:
        """Begin an upload in parts; return its id."""
        with self._asking(f"the upload of {key} cannot begin"):
            return str(self._client.create_multipart_upload(**self._named(key))["UploadId"])

    def part_target(
        self, key: str, upload: str, number: int, size: int, md5: str, valid_s: float
    ) -> PartTarget:
        """Return where to send a part: a signed address that holds for these bytes only."""
        checked_part(number, size)
        with self._asking(f"the upload of {key} cannot go on"):
            url = self._client.generate_presigned_url(
                "upload_part",
                Params={
                    **self._named(key), "UploadId": upload, "PartNumber": number,
                    "ContentLength": size, "ContentMD5": md5,
                },
                ExpiresIn=max(1, min(int(valid_s), _MOST_VALID_S)),
            )  # fmt: skip
        return PartTarget(url, {"Content-MD5": md5, "Content-Length": str(size)})

    def parts(self, key: str, upload: str) -> dict[int, PartFact]:
        """Return the parts that have arrived, by number."""
        pages = self._client.get_paginator("list_parts")
        with self._asking(f"the parts of {key} cannot be listed"):
            return {
                int(part["PartNumber"]): PartFact(int(part["Size"]), part["ETag"].strip('"'))
                for page in pages.paginate(**self._named(key), UploadId=upload)
                for part in page.get("Parts", ())
            }

    def complete(self, key: str, upload: str, parts: Mapping[int, str]) -> None:
        """Put the parts together; harmless if it was done before."""
        numbers = sorted(parts)
        checked_sequence(numbers)
        etags = {number: parts[number].strip('"') for number in numbers}
        with self._asking(f"the parts of {key} cannot be put together"):
            try:
                self._client.complete_multipart_upload(
                    **self._named(key), UploadId=upload,
                    MultipartUpload={"Parts": [
                        {"PartNumber": number, "ETag": f'"{etags[number]}"'} for number in numbers
                    ]},
                )  # fmt: skip
            except ClientError as error:
                if s3_trouble(*_code(error)) in (StorageTrouble.DENIED, StorageTrouble.FULL):
                    raise
                # Done before, or unknown? Servers say so in different ways: Ceph says InvalidPart.
                if self._is_open(key, upload):
                    raise
                if not self._holds(key, list(etags.values())):
                    raise StorageError(
                        StorageTrouble.MISSING,
                        f"there is no upload of {key} in {self._where}: begin again",
                    ) from error

    def abort(self, key: str, upload: str) -> None:
        """Forget an upload; it may be missing."""
        with self._asking(f"the upload of {key} cannot be dropped"):
            try:
                self._client.abort_multipart_upload(**self._named(key), UploadId=upload)
            except ClientError as error:
                if _code(error)[0] != "NoSuchUpload":
                    raise

    def unfinished(self, older_than_s: float) -> Iterator[tuple[str, str]]:
        """Yield key and id of uploads that began at least that long ago.

        MinIO lists none; it drops uploads by itself after a day.
        """
        pages = self._client.get_paginator("list_multipart_uploads")
        with self._asking("uploads cannot be listed"):
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
                for found in page.get("Uploads", ()):
                    key = found["Key"][len(self._prefix) :]
                    if time.time() - found["Initiated"].timestamp() >= older_than_s:
                        if not key_problem(key):
                            yield key, str(found["UploadId"])

    def _is_open(self, key: str, upload: str) -> bool:
        """Tell whether an upload is neither complete nor aborted."""
        try:
            self._client.list_parts(**self._named(key), UploadId=upload, MaxParts=1)
        except ClientError as error:
            if _code(error)[0] != "NoSuchUpload":
                raise
            return False
        return True

    def _holds(self, key: str, etags: list[str]) -> bool:
        """Tell whether an object was put together of these parts; servers name it after them.

        A hint for a repeated ``complete`` only: its content is still to be read back and hashed.
        """
        try:
            digests = b"".join(bytes.fromhex(etag) for etag in etags)
            found = self._client.head_object(**self._named(key))["ETag"].strip('"')
        except (ValueError, ClientError):
            return False
        name = hashlib.md5(digests, usedforsecurity=False).hexdigest()
        return bool(found == f"{name}-{len(etags)}")

    def _named(self, key: str) -> dict[str, str]:
        """Return bucket and key as arguments of a request."""
        whole = self._prefix + checked_key(key)
        if len(whole.encode()) > MOST_KEY_BYTES:
            raise StorageError(
                StorageTrouble.WRONG,
                f"a key of {len(key)} characters is too long below {self._where}: at most "
                f"{MOST_KEY_BYTES} bytes in all",
            )
        return {"Bucket": self._bucket, "Key": whole}

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Turn what the server or the network refuses into StorageError."""
        try:
            yield
        except ClientError as error:
            code, status = _code(error)
            trouble = s3_trouble(code, status)
            said = error.response.get("Error", {}).get("Message") or ""
            fix = f" ({_FIXES[trouble]})" if trouble in _FIXES else ""
            raise self._error(trouble, what, f"{code or status} {said}".strip() + fix) from error
        except _NO_CREDENTIALS as error:
            fix = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            raise self._error(StorageTrouble.DENIED, what, f"{error} ({fix})") from error
        except ParamValidationError as error:
            raise self._error(StorageTrouble.WRONG, what, str(error)) from error
        except BotoCoreError as error:
            raise self._error(StorageTrouble.UNAVAILABLE, what, str(error)) from error

    def _error(self, trouble: StorageTrouble, what: str, why: str) -> StorageError:
        return StorageError(trouble, f"{what} in {self._where}: {' '.join(why.split())}")


def _config(addressing: str) -> Config:
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": addressing},
        connect_timeout=_CONNECT_S,
        read_timeout=_READ_S,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
        max_pool_connections=_CONNECTIONS,
        request_checksum_calculation="when_required",  # Ceph 16 and MinIO know no others
        response_checksum_validation="when_required",
    )


def _code(error: ClientError) -> tuple[str, int]:
    """Return the server's code and the HTTP status of a refusal."""
    plain: dict[str, Any] = dict(error.response)
    status = int(plain.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    code = str(plain.get("Error", {}).get("Code") or "")
    return ("" if code.isdigit() else code), status  # of a HEAD it is only the status again


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
