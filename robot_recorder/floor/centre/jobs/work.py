"""Works one job: read its episodes, make what is asked, put that into the storage.

What is made lies at ``made/KIND/KEY/``. Its last object is ``made.json``, which lists the others with
sizes and hashes; without it, nothing is made. KEY is the hash of all that the output depends on, so that
a job that is worked twice, even at once, puts the same in the same place.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_recorder.bags.files import make_folder
from robot_recorder.dataset.pool import Pool
from robot_recorder.floor.centre.jobs.kinds import JobKind
from robot_recorder.floor.centre.jobs.queue import JobSource
from robot_recorder.floor.centre.local_copy import LocalCopies
from robot_recorder.floor.manifest import chunks_of
from robot_recorder.floor.storage.open import open_storage
from robot_recorder.floor.storage.port import ObjectStorage, StorageError, StorageTrouble
from robot_recorder.model.errors import BagError, DiskError, RecorderError

MADE_FILE = "made.json"
_AWAY = {StorageTrouble.UNAVAILABLE, StorageTrouble.DENIED, StorageTrouble.FULL}


@dataclass(frozen=True)
class JobPlace:
    """Where jobs find and put things; goes to other processes and machines.

    Attributes:
        storage: address of the centre's storage.
        cache: folder for local copies and for what is being made.
        cache_bytes: limit of the local copies.
    """

    storage: str
    cache: Path
    cache_bytes: int


@dataclass(frozen=True)
class JobOrder:
    """What is to be made; goes to other processes and machines.

    Attributes:
        kind, key, sources, settings: of the job.
    """

    kind: JobKind
    key: str
    sources: tuple[JobSource, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class JobOutcome:
    """What came of an order.

    Attributes:
        result: what was made; None: nothing.
        problem: why not.
        again: whether another try may succeed.
        away: it could not even be tried, because the storage does not do its part.
    """

    result: dict[str, Any] | None = None
    problem: str = ""
    again: bool = False
    away: bool = False


def made_prefix(kind: JobKind, key: str) -> str:
    """Return what the keys of a job's output begin with; ends in a slash."""
    return f"made/{kind.value}/{key}/"


def made_result(storage: ObjectStorage, kind: JobKind, key: str) -> dict[str, Any] | None:
    """Return the result of a job whose output is in the storage; None: it is not made.

    Raises:
        StorageError: the storage does not answer.
    """
    marker = made_prefix(kind, key) + MADE_FILE
    if storage.size(marker) is None:
        return None
    return dict(json.loads(storage.get(marker)))


def work_job(place: JobPlace, order: JobOrder, pool: Pool | None = None) -> JobOutcome:
    """Make what an order asks for, unless it is made; never raises.

    Args:
        place: where.
        order: what.
        pool: for the parts of a dataset; None: the kind needs none.
    """
    try:
        return JobOutcome(_made(place, order, pool))
    except StorageError as error:
        away = error.trouble in _AWAY
        return JobOutcome(None, str(error), error.trouble is not StorageTrouble.MISSING, away)
    except DiskError as error:
        return JobOutcome(None, str(error), again=True)
    except RecorderError as error:  # of the episodes: it would be the same again
        return JobOutcome(None, str(error))
    except OSError as error:
        return JobOutcome(None, f"{error.filename or place.cache}: {error.strerror or error}", True)
    except Exception as error:  # one that nobody has thought of must not end the other jobs
        logging.getLogger(__name__).exception("a job of the kind %s failed", order.kind.value)
        return JobOutcome(None, f"it failed: {type(error).__name__}: {error}")


def _made(place: JobPlace, order: JobOrder, pool: Pool | None) -> dict[str, Any]:
    storage = open_storage(place.storage)
    try:
        known = made_result(storage, order.kind, order.key)
    except StorageError as error:
        if error.trouble is not StorageTrouble.MISSING:
            raise
        raise StorageError(StorageTrouble.UNAVAILABLE, str(error)) from error  # all of it is away
    if known is not None:
        return known
    copies = LocalCopies(storage, place.cache / "copies", place.cache_bytes)
    work = place.cache / "work"
    make_folder(work)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=work)))
        paths = [stack.enter_context(copies.episode(s.site, s.episode)) for s in order.sources]
        if order.kind is JobKind.EXPORT:
            if pool is None:
                raise RecorderError("a dataset needs a pool")
            summary = _export(paths, folder / "made", order.settings, pool)
        else:
            (folder / "made").mkdir()
            summary = _MAKERS[order.kind](paths[0], folder / "made", order.settings)
        return _put(storage, order, folder / "made", summary)


def _put(
    storage: ObjectStorage, order: JobOrder, folder: Path, summary: Mapping[str, Any]
) -> dict[str, Any]:
    """Put what was made into the storage, the list of it last."""
    prefix, files = made_prefix(order.kind, order.key), []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if any(part[0] == "." for part in Path(name).parts):  # a dataset's scratch
            continue
        digest = hashlib.sha256()
        for chunk in chunks_of(path):
            digest.update(chunk)
        storage.put(prefix + name, path.read_bytes())
        files.append([name, path.stat().st_size, digest.hexdigest()])
    result = {"summary": dict(summary), "files": files}
    storage.put(prefix + MADE_FILE, json.dumps(result).encode())
    return result


# -- what is made


def _check(path: Path, folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    from robot_recorder.offline.check import check_episode

    found = check_episode(path)
    plain = {
        "problems": found.problems, "recording": found.recording, "messages": found.messages,
        **found.report.to_dict(),
    }  # fmt: skip
    (folder / "check.json").write_text(json.dumps(plain))
    return {
        "verdict": found.report.verdict.text, "sound": found.sound,
        "reasons": list(found.report.reasons), "messages": found.messages,
    }  # fmt: skip


def _align(path: Path, folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    from robot_recorder.dataset.export import export
    from robot_recorder.episodes.episode import Episode
    from robot_recorder.offline.align import align_episode
    from robot_recorder.offline.plan import make_plan

    episode = Episode.open(path)
    plan = make_plan(episode, None, None)
    clock = plan.frame_clock(settings["rate_hz"], settings["reference"])
    found = align_episode(episode, plan, clock)
    if not len(found.frames):
        raise BagError(f"{path.name} has no frames: its streams could not be put on one time axis")
    export(found, folder / "frames.npz")
    (folder / "certificate.json").write_text(json.dumps(found.certificate.to_dict()))
    return {"frames": len(found.frames), "problem": found.problem}


def _thumbnail(path: Path, folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    from robot_recorder.report.made import make_thumbnail

    make_thumbnail(path, folder / "thumbnail.jpg")
    return {}


def _export(
    paths: list[Path], folder: Path, settings: Mapping[str, Any], pool: Pool
) -> dict[str, Any]:
    from robot_recorder.dataset.align_source import AlignOptions
    from robot_recorder.dataset.card.about import CardOptions
    from robot_recorder.dataset.export_run import ExportRun
    from robot_recorder.dataset.settings import ExportSettings, OperatorNames

    operators = OperatorNames(settings["operators"])
    align = AlignOptions(settings["rate_hz"], settings["reference"], settings["causal"])
    card = CardOptions(show_operators=operators is OperatorNames.KEPT)
    asked = ExportSettings(format=settings["format"], align=align, card=card, operators=operators)

    def renamed(name: str) -> str:
        return name if operators is OperatorNames.KEPT else ""

    report = ExportRun(folder, asked, pool, renamed=renamed).run(
        paths, {}, {"episodes": [path.name for path in paths]}
    )
    shutil.rmtree(folder / ".export", ignore_errors=True)
    return {
        "episodes": report.episodes, "frames": report.frames, "seconds": report.seconds,
        "left_out": {Path(path).name: why for path, why in report.lock.left_out.items()},
    }  # fmt: skip


_Maker = Callable[[Path, Path, Mapping[str, Any]], dict[str, Any]]
_MAKERS: dict[JobKind, _Maker] = {
    JobKind.CHECK: _check,
    JobKind.ALIGN: _align,
    JobKind.THUMBNAIL: _thumbnail,
}
