"""Opens the storage that a URL names."""

from __future__ import annotations

import secrets
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from robot_recorder.floor.storage.directory import PART_PATH, DirectoryStorage
from robot_recorder.floor.storage.port import ObjectStorage
from robot_recorder.model.errors import ConfigError

_OPTIONS = {"endpoint", "region", "addressing"}


def open_storage(url: str, secret: bytes = b"", part_path: str = PART_PATH) -> ObjectStorage:
    """Return the storage that a URL names; call its ``check`` to find a wrong configuration.

    Args:
        url: a directory (``/srv/episodes``, ``file:///srv/episodes``) or a bucket:
            ``s3://BUCKET/PREFIX?endpoint=http://HOST:PORT&region=REGION&addressing=path``; without
            an endpoint it is at AWS. Credentials come from the environment and the files of boto3.
        secret: signs the addresses of parts in a directory: the same in all processes of a centre.
            Empty: a random one, for addresses of this process only.
        part_path: where the centre receives parts for a directory.

    Raises:
        ConfigError: the URL is invalid, or boto3 is not installed.
    """
    scheme, rest = urlsplit(url).scheme, urlsplit(url)
    if scheme == "s3":
        return _bucket(url)
    if scheme == "file":
        if rest.netloc not in ("", "localhost") or not rest.path.startswith("/"):
            raise ConfigError(f"{url} is no directory of this machine: use file:///PATH")
        folder = Path(unquote(rest.path))
    elif "://" in url:
        raise ConfigError(f"{url} is no storage: use s3://BUCKET/PREFIX or a directory")
    else:
        folder = Path(url)
    if not url or "\0" in str(folder):
        raise ConfigError(f"{url!r} is no storage: use s3://BUCKET/PREFIX or a directory")
    return DirectoryStorage(folder, secret or secrets.token_bytes(32), part_path)


def _bucket(url: str) -> ObjectStorage:
    rest = urlsplit(url)
    options = dict(parse_qsl(rest.query, keep_blank_values=True))
    if rest.username or rest.password:
        raise ConfigError(
            "a storage's URL holds no credentials: set AWS_ACCESS_KEY_ID and "
            f"AWS_SECRET_ACCESS_KEY, and use s3://{rest.hostname}"
        )
    if unknown := options.keys() - _OPTIONS:
        raise ConfigError(
            f"{url}: {min(unknown)!r} is unknown; there are {', '.join(sorted(_OPTIONS))}"
        )
    if not rest.netloc:
        raise ConfigError(f"{url} names no bucket: use s3://BUCKET/PREFIX")
    try:
        from robot_recorder.floor.storage.s3 import S3Storage
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{url} needs {error.name}: pip install -r requirements/floor.txt"
        ) from error
    return S3Storage(
        rest.netloc, unquote(rest.path).strip("/"), options.get("endpoint", ""),
        options.get("region", ""), options.get("addressing", ""),
    )  # fmt: skip
