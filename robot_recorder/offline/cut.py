"""Cut takes out of a long episode: each becomes an ordinary episode, with everything that belongs to one."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from robot_recorder.bags.bag import data_files, describe
from robot_recorder.bags.files import make_folder, sync_directory
from robot_recorder.bags.mcap_cut import CutResult, cut_files
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.bags.metadata import (
    REPEATED,
    repeats_of,
    without_repeats,
    write_metadata,
)
from robot_recorder.configuration.tasks import TaskRegistry
from robot_recorder.episodes.episode import Episode, episode_id
from robot_recorder.episodes.facts import label_facts, quality_facts, sync_facts
from robot_recorder.episodes.locks import HeldError, Lock, take_over
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.episodes.takes import TakeSpan, labels_of
from robot_recorder.messages.cdr import CdrReader
from robot_recorder.model.errors import BagError, DecodeError, RecorderError
from robot_recorder.model.labels import fold
from robot_recorder.model.losses import Place
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.offline.align import align_episode
from robot_recorder.offline.check import inspect_episode
from robot_recorder.offline.plan import make_plan
from robot_recorder.quality.verdict import UNCHECKED, QualityReport, unchecked

STAGING = ".cut"  # folder in a root for what is being cut
_DROPOUTS = "recorder/dropouts"
_U64 = struct.Struct("<Q")
# What is said of the whole recording, and is found anew for a part of it.
_OF_THE_WHOLE = (
    "task", "instruction", "operator", "outcome", "cause", "labels", "start_ns", "stop_ns", "pre_roll_s",
    "streams", "clock_jumps", "sync", "verdict", "quality", "task_yaml", "compressed", "repeated",
)  # fmt: skip
# What is said of the end of the recording.
_OF_THE_END = ("stop_reason", "aborted", "error", "recovered", "missing")


@dataclass(frozen=True)
class Cut:
    """A take and the episode that is, or is to be, made of it.

    Attributes:
        take: which part of the source.
        from_ns: begin of the pre-roll.
        id: of the new episode.
        path: its directory; None: not made yet.
        is_new: whether it was made now.
        where: the part in words, in seconds of the source.
        task, outcome: as labelled; the outcome with its cause.
        written: what was written; None: nothing.
        quality: its quality report.
    """

    take: TakeSpan
    from_ns: int
    id: str
    path: Path | None
    is_new: bool
    where: str
    task: str
    outcome: str
    written: CutResult | None = None
    quality: QualityReport = UNCHECKED


class Cutter:
    """Cuts takes out of one finished episode into one root. Use it as a context manager.

    Interrupted at any moment it leaves whole new episodes only; what it was making is deleted when the
    next one cuts into that root. The source is never changed.
    """

    def __init__(
        self, source: Episode, store: EpisodeStore, pre_roll_s: float = 0.0,
        tasks: TaskRegistry | None = None,
    ) -> None:  # fmt: skip
        """
        Args:
            source: the episode.
            store: where the new ones go.
            pre_roll_s: time before each take that goes with it, as far as the source has it.
            tasks: registry with the takes' tasks; None: only that of the source is known.

        Raises:
            BagError: the source cannot be cut.
        """
        if source.metadata.get("storage_identifier") != "mcap" or not source.path.is_dir():
            raise BagError(f"{source.path} is not a directory of MCAP files: only these are cut")
        if source.metadata.get("compression_mode"):
            raise BagError(
                f"{source.path} is compressed by file or message, which cannot be cut: "
                "convert it with `ros2 bag convert`"
            )
        self.source, self.store = source, store
        self.files = data_files(source.path, source.metadata)
        self._pre_roll_ns = round(pre_roll_s * NS_PER_S)
        self._tasks = tasks
        self._lock: Lock | None = None
        self._digest = ""
        self._dropouts: list[_Loss] | None = None

    def __enter__(self) -> Cutter:
        """Let nobody else cut into the root, and delete what was left half made there.

        Raises:
            BagError: somebody cuts into it, or it cannot be written.
        """
        try:
            self.store.make_root()
            self._lock = take_over(self.store.root, STAGING)
        except HeldError as error:
            raise BagError(f"{self.store.root} is being cut into by {error}: try later") from error
        except OSError as error:
            raise BagError(
                f"{self.store.root} cannot be written ({error.strerror or error}): "
                "give another folder with --into"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            (self.store.root / STAGING).rmdir()
        if self._lock is not None:
            self._lock.release()

    # -- which

    def plan(self, takes: Sequence[TakeSpan]) -> list[Cut]:
        """Return what would become of takes, without writing anything.

        Raises:
            BagError: a label of the source is invalid.
        """
        return [self._planned(take) for take in takes]

    def _planned(self, take: TakeSpan) -> Cut:
        span = self.source.span
        from_ns = max(span.from_ns, take.start_ns - self._pre_roll_ns)
        known = self._known(from_ns, take)
        # One that is there is told as it is: it may have been labelled since, or the source.
        labels = known.labels if known else fold(labels_of(self.source, take, from_ns, ""))
        path = known.path if known else None
        id = path.name if path else episode_id(self._robot, labels.task, take.start_ns)
        where = span.text(take.start_ns, take.end_ns)
        return Cut(take, from_ns, id, path, False, where, labels.task, labels.outcome_text)

    @property
    def _robot(self) -> str:
        return self.source.facts.get("robot") or self.source.id

    def _known(self, from_ns: int, take: TakeSpan) -> Episode | None:
        """Return the episode that was cut out of this one with the same ends; None: there is none."""
        begin = episode_id(self._robot, "", take.start_ns)
        for path in (*self.store.paths(), *self.store.trashed()):
            if not path.name.startswith(begin) or path == self.source.path:
                continue
            try:
                episode = Episode.open(path)
                told = json.loads(episode.facts.get("cut_from", "{}"))
            except (BagError, ValueError):
                continue
            wanted = {"episode_id": self.source.id, **_ends(take, from_ns)}
            if isinstance(told, dict) and wanted.items() <= told.items():
                return episode
        return None

    # -- making one

    def make(
        self, cut: Cut, check: bool = True, progress: Callable[[float], None] = lambda share: None
    ) -> Cut:
        """Make the episode of a take, unless it is there.

        Args:
            cut: as planned.
            check: give it a certificate and a quality report of its own, which takes much longer.
            progress: called with the share that is done, 0 to 1.

        Raises:
            BagError: a file of the source cannot be read, the take has no messages, or the new files
                cannot be written; nothing has changed.
        """
        if cut.path is not None:
            return cut
        id = self.store.new_partial(cut.id).stem
        folder = self.store.root / STAGING / id
        try:
            make_folder(folder.parent, self.store.file_mode)
            folder.mkdir(mode=0o700)
            shutil.copymode(self.source.path, folder)
            written = cut_files(
                self.files, folder, cut.from_ns, cut.take.end_ns, lambda x: progress(x / 2)
            )
            episode = self._described(folder, written, self._facts(cut, id))
            quality = self._judge(episode) if check else UNCHECKED
            for file in written.files:
                if file.stat().st_nlink == 1:  # a link has the mode of the source already
                    shutil.copymode(self.files[0], file)
            sync_directory(folder)
            path = self.store.adopt(folder)
        except OSError as error:
            raise BagError(
                f"{folder} cannot be written ({error.strerror or error}): "
                "free space, or give another folder with --into"
            ) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        progress(1.0)
        return replace(cut, id=id, path=path, is_new=True, written=written, quality=quality)

    def _described(self, folder: Path, written: CutResult, facts: dict[str, str]) -> Episode:
        """Write the metadata of new files."""
        indexes = [McapIndex.open(file) for file in written.files]
        metadata = describe(list(written.files), list(indexes))
        if repeated := self._repeated(written):
            metadata["custom_data"][REPEATED] = json.dumps(repeated)
        metadata["ros_distro"] = self.source.metadata.get("ros_distro", "")
        counts: Counter[str] = Counter()
        for entry in without_repeats(metadata)["topics_with_message_count"]:
            counts[entry["topic_metadata"]["name"]] += entry["message_count"]
        start_ns, end_ns = int(facts["start_ns"]), int(facts["stop_ns"])
        from_ns = start_ns - round(float(facts["pre_roll_s"]) * NS_PER_S)
        if self.source.streams:
            facts["streams"] = json.dumps(self._streams(counts, from_ns, end_ns))
        metadata["custom_data"] |= facts  # describe has put there what the files repeat
        write_metadata(folder, metadata)
        return Episode(folder, metadata)

    def _repeated(self, written: CutResult) -> list[dict[str, int]]:
        """Return what each new file repeats, as the source tells; empty: nothing.

        Only its metadata tells in a file of ``rosbag2_py``.
        """
        told = dict(zip(self.files, repeats_of(self.source.metadata), strict=True))
        later = [told[path] for path in written.origins[1:]]
        return [{}, *later] if any(later) else []

    def _judge(self, episode: Episode) -> QualityReport:
        """Add certificate and quality report to a new episode; what cannot be told is said in the report."""
        custom = episode.metadata["custom_data"]
        try:
            plan = make_plan(episode)
            certificate = align_episode(episode, plan, plan.frame_clock(None, "")).certificate
            custom |= sync_facts(certificate)
            report = inspect_episode(Episode(episode.path, episode.metadata))
        except RecorderError as error:  # it can be checked later, the cut is whole
            report = unchecked(error)
        custom |= quality_facts(report)
        write_metadata(episode.path, episode.metadata)
        return report

    # -- its facts

    def _facts(self, cut: Cut, id: str) -> dict[str, str]:
        source, take = self.source, cut.take
        events = labels_of(source, take, cut.from_ns, id)
        facts = {k: v for k, v in source.facts.items() if k not in (*_OF_THE_WHOLE, "provenance")}
        if take.end_ns < (source.span.to_ns or 0) and not (
            source.is_recovered and _is_damaged(source)
        ):
            facts = {k: v for k, v in facts.items() if k not in _OF_THE_END}
        jumps = [jump for jump in source.clock_jumps if jump[0] <= take.end_ns]
        told: dict[str, Any] = {
            "episode_id": source.id, **_ends(take, cut.from_ns),
            "from_s": source.span.seconds(cut.from_ns), "to_s": source.span.seconds(take.end_ns),
            "index_sha256": self._source_digest(),
        }  # fmt: skip
        if "provenance" in source.facts:
            told["provenance"] = source.facts["provenance"]
        if "cut_from" in source.facts:  # with the provenance that it tells
            told["cut_from"] = _parsed(source.facts["cut_from"])
        return {
            **facts,
            "episode_id": id,
            "start_ns": str(take.start_ns),
            "stop_ns": str(take.end_ns),
            "pre_roll_s": f"{(take.start_ns - cut.from_ns) / NS_PER_S:.9f}",
            "cut_from": json.dumps(told),
            **label_facts(events),
            **self._task_facts(fold(events).task),
            **({"clock_jumps": json.dumps(jumps)} if jumps else {}),
        }

    def _task_facts(self, task: str) -> dict[str, str]:
        if task and task == self.source.labels.task and "task_yaml" in self.source.facts:
            return {"task_yaml": self.source.facts["task_yaml"]}
        known = self._tasks.tasks.get(task) if self._tasks is not None else None
        return {"task_yaml": known.text} if known is not None else {}

    def _source_digest(self) -> str:
        """Return a hash of the source's files: of names, sizes and indexes, as reading all would take hours."""
        if not self._digest:
            digest = hashlib.sha256()
            for path in self.files:
                digest.update(f"{path.name}\n{path.stat().st_size}\n".encode())
                digest.update(_summary(path))
            self._digest = digest.hexdigest()
        return self._digest

    def _streams(self, counts: Counter[str], from_ns: int, to_ns: int) -> dict[str, dict[str, Any]]:
        """Return the messages written and lost of each topic in a part of the source.

        Lost ones are those of which the source's own messages say when; unknown where they do not tell of
        all, or a loss goes over an end of the part.
        """
        losses = self._losses()
        found: dict[str, dict[str, Any]] = {}
        for topic in sorted({*self.source.streams, *counts}):
            whole = self.source.streams.get(topic, {})
            totals = whole.get("lost") or {place.text: None for place in Place}
            lost: dict[str, int | None] = {}
            for place, total in totals.items():
                told = [x for x in losses if (x.topic, x.place) == (topic, place)]
                near = [x for x in told if x.start_ns <= to_ns and x.end_ns >= from_ns]
                over = any(x.start_ns < from_ns or x.end_ns > to_ns for x in near)
                known = total == 0 or (sum(x.count for x in told) == total and not over)
                lost[place] = sum(x.count for x in near) if known and total is not None else None
            found[topic] = {"written": counts[topic], "lost": lost}
            if "unknown" in whole:
                found[topic]["unknown"] = whole["unknown"]
        return found

    def _losses(self) -> list[_Loss]:
        if self._dropouts is None:
            topics = [t for t in self.source.topics if t.endswith("/" + _DROPOUTS)]
            messages = self.source.messages(topics) if topics else ()
            self._dropouts = [loss for m in messages if (loss := _decoded(m.data)) is not None]
        return self._dropouts


@dataclass(frozen=True)
class _Loss:
    """Messages of a topic that the source says are missing; times in ns, robot clock."""

    topic: str
    place: str
    count: int
    start_ns: int
    end_ns: int


def _decoded(data: bytes) -> _Loss | None:
    """Decode a Dropout; None: its bytes do not fit, which leaves its topic's losses unknown."""
    try:
        reader = CdrReader(data)
        reader.stamp_ns()
        reader.skip_bytes()
        topic, place, count = reader.text(), Place(reader.u8()), reader.i64()
        start_ns = reader.stamp_ns()
        return _Loss(topic, place.text, count, start_ns, start_ns + reader.stamp_ns())
    except (DecodeError, ValueError):
        return None


def _ends(take: TakeSpan, from_ns: int) -> dict[str, int]:
    return {"from_ns": from_ns, "start_ns": take.start_ns, "end_ns": take.end_ns}


def _parsed(text: str) -> Any:
    """Return JSON as values; what is none stays as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_damaged(source: Episode) -> bool:
    """Return whether a recovered episode may lack messages elsewhere than at its end."""
    try:
        missing = json.loads(source.facts.get("missing", "{}"))
        gaps = missing["unreadable_bytes"] + missing["unreadable_messages"]
        return bool(gaps or missing.get("unreadable_files"))
    except (ValueError, KeyError, TypeError):
        return True


def _summary(path: Path) -> bytes:
    """Return the bytes of an MCAP file from its summary to its end; of one without, the last MB."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        file.seek(max(0, size - 28))  # footer: where the summary begins, offsets, CRC; magic
        begin = _U64.unpack(file.read(8))[0] if size >= 28 else 0
        file.seek(begin if 0 < begin < size else max(0, size - 1_000_000))
        return file.read()
