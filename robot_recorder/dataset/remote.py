"""Read episodes from, and write datasets to, ``s3://bucket/prefix``, as the variables AWS_* say."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import multiprocessing
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import (
    FIRST_EXCEPTION,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from robot_recorder.bags.files import FILE_MODE, make_folder, replace_text, sync_directory
from robot_recorder.configuration.worker_process import begin_worker
from robot_recorder.dataset.lock import LOCK
from robot_recorder.dataset.pool import JobProgress, Told
from robot_recorder.model.errors import ConfigError, DiskError, RecorderError
from robot_recorder.model.ids import PARTIAL, checked_id

SCHEME = "s3://"
_METADATA = "metadata.yaml"
_STATE = f"{LOCK}.upload"  # what an upload has put there, until it is whole
_THREADS = 4
_PIECE = 16 << 20  # bytes of a request; a download holds _THREADS of them in memory
_PART, _AHEAD = 8 << 20, 4  # an upload holds _THREADS times _AHEAD; S3 takes 5 MB or more
_PARTS = 9000  # of a file; S3 takes 10000
_TRIES = 7  # of a transfer: a minute, beside the tries of each request
_LONGEST_S = 30.0  # between them
_STATED_S = 30.0
_TOLD_S = 0.2
_process = 0  # that has used the library

_REFUSED = re.compile(r"status code: 4(?!08|29)\d\d")  # it would be refused again
# With no keys set, the library asks the machine for some, at /latest/.
_DENIED = re.compile(r"status code: 40[13]|/latest/")

_T = TypeVar("_T")
_Files = dict[str, tuple[int, str]]


@dataclass(frozen=True)
class Uploaded:
    """What an upload did: numbers of files sent, found there unchanged, and removed there."""

    sent: int
    kept: int
    removed: int


def is_remote(text: str) -> bool:
    """Tell whether a source or target is in an object store."""
    return text.startswith(SCHEME)


def list_episodes(url: str) -> list[str]:
    """Return the urls of the bags at or below a url, sorted; without hidden and unfinished ones.

    Raises:
        ConfigError: it cannot be read.
    """
    return _apart(_list_episodes, url)


def fingerprint(url: str) -> _Files:
    """Return size and etag by name of the files below a url; they change with the content.

    Raises:
        ConfigError: it cannot be read, or holds no files.
    """
    return _apart(_fingerprint, url)


def fetched(url: str, cache: Path) -> Path:
    """Download the directory of an episode into a folder, under its name, unless it is there.

    It appears whole or not at all. What an interrupted call has downloaded is not downloaded again.

    Raises:
        ConfigError: it cannot be read, or the folder has another episode of this name.
        DiskError: the folder cannot be written.
    """
    return _apart(_fetched, url, cache)


def _apart(work: Callable[..., _T], *arguments: Any) -> _T:
    """Call a function; in a new process, if this one was forked from one that used the library.

    The library's threads are missing in a fork, which would wait for them for ever.
    """
    if _process in (0, os.getpid()):
        return work(*arguments)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, begin_worker) as executor:
        return executor.submit(work, *arguments).result()


# -- the store


def _store(url: str) -> Any:
    """Return the store of all objects below a url."""
    global _process
    if importlib.util.find_spec("obstore") is None:
        raise ConfigError(
            f"{url}: what reads it is not installed: pip install 'robot_recorder[remote]'"
        )
    from obstore.store import S3Store

    bucket, _, prefix = url.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise ConfigError(f"'{url}' names no bucket: write {SCHEME}bucket/folder")
    _process = os.getpid()
    # Five tries take 2 s, so that a wrong endpoint is soon told. Keywords, because client_options would
    # hide AWS_ALLOW_HTTP and its like.
    return S3Store(
        bucket, prefix=prefix.strip("/") or None, retry_config={"max_retries": 5}, timeout="600s",
        connect_timeout="10s",
    )  # fmt: skip


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Name the url and the fix in what the library raises."""
    from obstore import exceptions as known

    try:
        yield
    except known.PreconditionError as error:
        raise ConfigError(f"{url} changed while it was read: run the command again") from error
    except (known.BaseError, FileNotFoundError) as error:
        denied = isinstance(error, known.PermissionDeniedError | known.UnauthenticatedError)
        if denied or _DENIED.search(str(error)):
            fix = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of a user who may do this"
        else:
            fix = (
                "check the bucket, AWS_ENDPOINT_URL, AWS_REGION, and AWS_ALLOW_HTTP=true for an "
                "endpoint at http://"
            )
        raise ConfigError(f"{url} cannot be reached: {_reason(error)}; {fix}") from error


def _reason(error: Exception) -> str:
    """Return what an error says without the details for developers of the library."""
    return " ".join(str(error).partition("\n\nDebug source")[0].split())[:300]


def _tried(work: Callable[[], _T]) -> _T:
    """Call a function, again after a while if the store fails."""
    from obstore.exceptions import GenericError

    delay = 1.0
    for left in range(_TRIES)[::-1]:
        try:
            return work()
        except GenericError as error:
            if not left or _REFUSED.search(str(error)):
                raise
            time.sleep(delay)
            delay = min(2 * delay, _LONGEST_S)
    raise AssertionError("the last attempt returns or raises")


def _objects(store: Any) -> _Files:
    """Return size and etag of all objects by path; without those that stand for folders."""
    found = {o["path"]: (o["size"], o["e_tag"] or "") for many in store.list() for o in many}
    folders = {path[:end] for path in found for end, sign in enumerate(path) if sign == "/"}
    return {path: found[path] for path in sorted(found.keys() - folders - {""})}


# -- reading


def _list_episodes(url: str) -> list[str]:
    store, base = _store(url), url.rstrip("/")
    with _explained(url):
        paths = [path.split("/") for path in _objects(store)]
    hidden = [any(part[0] == "." or part.endswith(PARTIAL) for part in path) for path in paths]
    return sorted(
        "/".join((base, *path[:-1]))
        for path, skipped in zip(paths, hidden)
        if path[-1] == _METADATA and not skipped
    )


def _fingerprint(url: str) -> _Files:
    store = _store(url)
    with _explained(url):
        found = _objects(store)
    if not found:
        raise ConfigError(f"{url}: there is nothing; `robot-recorder export` takes what is below")
    return found


def _fetched(url: str, cache: Path) -> Path:
    url = url.rstrip("/")
    name = checked_id(url.rpartition("/")[2])
    target, partial, record = cache / name, cache / f"{name}{PARTIAL}", cache / f".{name}.json"
    files = _fingerprint(url)
    try:
        make_folder(cache)
        with _alone(cache / f".{name}.lock"):
            begun = _recorded(record, url)
            if begun == files and not partial.exists() and _sizes(target, files) == _only(files):
                return target
            if not begun:
                shutil.rmtree(partial, ignore_errors=True)
            make_folder(partial)
            for path in [p for p in begun | files if begun.get(p) != files.get(p)]:
                (partial / path).unlink(missing_ok=True)  # of an earlier state of the episode
            replace_text(record, json.dumps({"url": url, "files": files}))
            _download(url, files, partial)
            shutil.rmtree(target, ignore_errors=True)
            os.rename(partial, target)
            sync_directory(cache)
    except OSError as error:
        raise DiskError(
            f"{url} cannot be stored in {cache}: {error.strerror or error}; free space there, or "
            "take another folder"
        ) from error
    return target


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process holds a file."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _recorded(record: Path, url: str) -> _Files:
    """Return the files that an earlier call began to download."""
    try:
        plain = json.loads(record.read_text())
        if plain["url"] != url:
            raise ConfigError(
                f"{record.parent} holds {plain['url']}, which has the same name as {url}: take "
                "another folder"
            )
        return _read(plain)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def _read(plain: Mapping[str, Any]) -> _Files:
    return {path: (size, mark) for path, (size, mark) in plain["files"].items()}


def _only(files: Mapping[str, tuple[int, str]]) -> dict[str, int]:
    return {path: size for path, (size, _) in files.items()}


def _sizes(folder: Path, paths: Iterable[str]) -> dict[str, int]:
    """Return the sizes of files in a folder, without those that are missing."""
    found = {path: folder / path for path in paths}
    return {path: file.stat().st_size for path, file in found.items() if file.is_file()}


def _download(url: str, files: _Files, folder: Path) -> None:
    store, there = _store(url), _sizes(folder, files)

    def one(path: str) -> None:
        size, mark = files[path]
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        with open(os.open(folder / path, flags, FILE_MODE), "ab") as file:
            if there.get(path, 0) > size:
                file.truncate(0)
            for begin in range(file.tell(), size, _PIECE):
                file.write(_piece(store, path, begin, min(begin + _PIECE, size), mark))
            file.flush()
            os.fsync(file.fileno())

    with _explained(url), ThreadPoolExecutor(_THREADS) as threads:
        left = [path for path in files if there.get(path) != files[path][0]]
        _all_done([threads.submit(one, path) for path in left])
    wrong = _only(files).items() ^ _sizes(folder, files).items()
    if wrong:
        raise RecorderError(f"{url}/{min(wrong)[0]} was not received whole: run the command again")


def _piece(store: Any, path: str, begin: int, end: int, mark: str) -> Any:
    """Return bytes of an object, which must not have changed since it was listed."""
    options = {"range": (begin, end)} | ({"if_match": mark} if mark else {})
    return _tried(lambda: store.get(path, options=options).bytes())


def _all_done(futures: Iterable[Future[None]], told: Callable[[], None] = lambda: None) -> None:
    """Wait for all; if one fails, do not begin more."""
    left = set(futures)
    try:
        while left:
            done, left = wait(left, _TOLD_S, FIRST_EXCEPTION)
            for future in done:
                future.result()
            told()
    finally:
        for future in left:
            future.cancel()


# -- writing


def uploaded(folder: Path, url: str, told: Told = lambda progress: None) -> Uploaded:
    """Upload the files that a dataset's lock file names; the lock file itself at last.

    Who finds the lock file finds all that it names: it is taken away before files change that it names.
    An upload that was interrupted goes on where it was.

    Args:
        folder: the dataset.
        url: where to; files of an earlier state that are no longer named are removed there.
        told: called now and then; weights are bytes.

    Raises:
        ConfigError: the folder is no dataset or not whole, or the url cannot be written.
        RecorderError: what arrived is not what was sent.
    """
    manifest, wanted = _wanted(folder)
    store = _store(url)
    with _explained(url):
        there = _only(_objects(store))
        old, state = _named(store, there, LOCK), _named(store, there, _STATE)
        known = old | state
        kept = {p for p, f in wanted.items() if known.get(p) == f and there.get(p) == f[0]}
        send = {path: wanted[path] for path in wanted if path not in kept}
        known |= dict.fromkeys(send, (-1, ""))
        gone = [path for path in known if path not in wanted and path in there]
        if send or gone or state:
            _put_state(store, known)
        if send.keys() & old.keys():
            store.delete(LOCK)
        if send:
            _send(store, folder, send, known, told)
        _check_arrived(url, wanted, _only(_objects(store)))
        _tried(lambda: store.put(LOCK, manifest))
        _tried(lambda: store.delete([*gone, _STATE]))
    return Uploaded(len(send), len(kept), len(gone))


def _wanted(folder: Path) -> tuple[bytes, _Files]:
    """Return a dataset's lock file, and the size and hash of the files that it names."""
    try:
        manifest = (folder / LOCK).read_bytes()
        wanted = _read(json.loads(manifest))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder} is no dataset: its {LOCK} cannot be read: {error}") from error
    wanted.pop(LOCK, None)
    differ = _only(wanted).items() - _sizes(folder, wanted).items()
    if differ:
        raise ConfigError(f"{folder}: {min(differ)[0]} is not what {LOCK} says: export again")
    return manifest, wanted


def _named(store: Any, there: Mapping[str, int], name: str) -> _Files:
    """Return the files that a lock file in the store names; none if it is missing or broken."""
    if name not in there:
        return {}
    try:
        return _read(json.loads(bytes(store.get(name).bytes())))
    except (ValueError, KeyError, TypeError):
        return {}


def _put_state(store: Any, known: _Files) -> None:
    _tried(lambda: store.put(_STATE, json.dumps({"files": known}).encode()))


def _send(store: Any, folder: Path, send: _Files, known: _Files, told: Told) -> None:
    """Put files into the store side by side; note in it from time to time which are there."""
    progress = JobProgress(float(sum(_only(send).values())), len(send))
    began: dict[str, float] = {}
    counting, stated = threading.Lock(), time.monotonic()

    def one(path: str) -> None:
        began[path] = time.monotonic()
        size, part = send[path][0], max(_PART, send[path][0] // _PARTS + 1)
        _tried(lambda: store.put(path, folder / path, chunk_size=part, max_concurrency=_AHEAD))
        known[path] = send[path]
        with counting:
            del began[path]
            progress.done, progress.finished = progress.done + size, progress.finished + 1

    def tell() -> None:
        nonlocal stated
        now = time.monotonic()
        progress.running = {path: now - since for path, since in list(began.items())}
        told(progress)
        if now > stated + _STATED_S:
            _put_state(store, dict(known))
            stated = now

    with ThreadPoolExecutor(_THREADS) as threads:
        try:
            _all_done([threads.submit(one, path) for path in send], tell)
        except BaseException:
            _put_state(store, dict(known))
            raise


def _check_arrived(url: str, wanted: _Files, there: Mapping[str, int]) -> None:
    wrong = sorted(path for path, (size, _) in wanted.items() if there.get(path) != size)
    if wrong:
        raise RecorderError(
            f"{url}: {len(wrong)} files did not arrive whole, such as {wrong[0]}: run the command again"
        )
