"""Prepare the sources of an export: align them, and choose features, frames and codecs."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from robot_recorder.dataset.align_source import AlignOptions
from robot_recorder.dataset.aligned import SourceSummary
from robot_recorder.dataset.codecs import chosen_codecs, fits, passes
from robot_recorder.dataset.export_profile import (
    ExportProfile,
    default_profile,
    parse_export_profile,
)
from robot_recorder.dataset.features import FeatureReader, resolved
from robot_recorder.dataset.jobs import align_job
from robot_recorder.dataset.layout import LaidOut
from robot_recorder.dataset.lock import LOCK, DatasetLock, LockedSource
from robot_recorder.dataset.pool import ExportJob, Pool, Told
from robot_recorder.dataset.schema import DatasetEpisode, Schema
from robot_recorder.dataset.settings import ExportSettings
from robot_recorder.dataset.trimming import pieces
from robot_recorder.dataset.workspace import Workspace
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.errors import ConfigError, RecorderError


@dataclass
class ExportLosses:
    """What does not become part of a dataset.

    Attributes:
        sources: reason by path of those that are left out.
        counted: numbers of frames and pictures, by what became of them.
    """

    sources: dict[str, str] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)

    def count(self, what: str, number: int) -> None:
        """Add to a number."""
        self.counted[what] = self.counted.get(what, 0) + number

    @property
    def reasons(self) -> str:
        """Return the most frequent reasons why sources are left out."""
        found: dict[str, int] = {}
        for why in self.sources.values():
            found[why] = found.get(why, 0) + 1
        most = sorted(found.items(), key=lambda item: -item[1])[:3]
        return "; ".join(f"{n} left out: {why}" for why, n in most) or "none was given"


@dataclass(frozen=True)
class PreparedSource:
    """A source that gives the dataset's features.

    Attributes:
        locked: what the lock says of it; its shard is not known yet.
        encodings: of its pictures, by stream.
    """

    locked: LockedSource
    encodings: Mapping[str, str]


@dataclass(frozen=True)
class Prepared:
    """What is to be written.

    Attributes:
        profile: rules of the features.
        schema: the features.
        sources: prepared ones, in order.
        codecs: by camera feature, how its video is written.
        encodings: by camera feature, what its pictures are.
    """

    profile: ExportProfile
    schema: Schema
    sources: tuple[PreparedSource, ...]
    codecs: dict[str, str]
    encodings: dict[str, str]


class Preparation:
    """Prepares sources in a workspace; those that do not fit are left out, with the reason."""

    def __init__(
        self,
        work: Workspace,
        settings: ExportSettings,
        losses: ExportLosses,
        renamed: Callable[[str], str],
    ) -> None:
        """
        Args:
            work: where aligned frames go.
            settings: of the export.
            losses: to add to.
            renamed: operator's name to the name in the dataset.
        """
        self._work, self._settings, self._losses, self._renamed = work, settings, losses, renamed
        self._keys: dict[Path, str] = {}

    def align(self, paths: Sequence[Path], options: AlignOptions, pool: Pool, told: Told) -> None:
        """Align sources that are not aligned yet."""
        self._keys = {path: _key(path, options) for path in paths}
        jobs = [
            ExportJob(path.name, _bytes(path), align_job, (path, self._work.path, key, options))
            for path, key in self._keys.items()
            if not self._work.is_aligned(key)
        ]
        jobs.sort(key=lambda job: -job.weight)
        for job, error in pool.run(jobs, told):
            if isinstance(error, RecorderError):
                self._leave_out(job.arguments[0], str(error))

    def prepare(self, old: DatasetLock | None) -> Prepared:
        """Choose features, frames and codecs.

        Args:
            old: of the dataset that is updated, whose features stay; None: it is new.

        Raises:
            ConfigError: no source can be exported, or a rule fits none.
        """
        profile, schema = self._described(old)
        sources = []
        for path, key in list(self._keys.items()):
            try:
                sources.append(self._prepared(key, profile, schema))
            except ConfigError as error:
                self._leave_out(path, str(error))
        if old is None:
            codecs, encodings = chosen_codecs(
                self._settings.video, profile, schema, [s.encodings for s in sources],
                lambda feature: self._passes(sources, profile, schema, feature),
            )  # fmt: skip
            return Prepared(profile, schema, tuple(sources), codecs, encodings)
        fitting = []
        for source in sources:
            if why := fits(schema, old.codecs, old.encodings, source.encodings):
                self._losses.sources[source.locked.path] = why
            else:
                fitting.append(source)
        return Prepared(profile, schema, tuple(fitting), dict(old.codecs), dict(old.encodings))

    @property
    def keys(self) -> dict[str, str]:
        """Return the names of the folders of aligned frames, by path of the source."""
        return {str(path): key for path, key in self._keys.items()}

    def _leave_out(self, path: Path, why: str) -> None:
        self._losses.sources[str(path)] = why
        del self._keys[path]

    def _described(self, old: DatasetLock | None) -> tuple[ExportProfile, Schema]:
        """Return the rules and the features of the dataset, from its first source if it is new."""
        if old is not None:
            return parse_export_profile(old.profile, LOCK), old.schema
        robots: dict[str, None] = {}
        known: dict[Path, SourceSummary] = {}
        for path, key in list(self._keys.items()):
            source = self._work.aligned(key)
            if not len(source):
                self._leave_out(path, "no frames: its streams have no common time")
                continue
            known[path] = source.summary
            robots[source.summary.facts.robot or "unknown"] = None
        if not known:
            raise ConfigError(f"no episode can be exported; {self._losses.reasons}")
        if self._settings.profile:
            profile = parse_export_profile(self._settings.profile, "export profile")
            first = next(iter(known.values()))
        else:
            profile, first = self._usual(list(known.values()))
        return profile, resolved(profile, first, ", ".join(robots))

    def _usual(self, summaries: Sequence[SourceSummary]) -> tuple[ExportProfile, SourceSummary]:
        """Return the default features that most sources give, and the first of these sources."""
        action = self._settings.action
        profiles = [default_profile(s.streams, action) for s in summaries]
        texts = [p.dump() for p in profiles]
        at = texts.index(Counter(texts).most_common(1)[0][0])
        used = {stream for rule in profiles[at].features for stream in rule.streams}
        for stream in summaries[at].streams:
            if stream.name not in used:
                what = "readable pictures" if stream.sort == Sort.IMAGE.name else "values"
                self._losses.sources[f"stream {stream.name}"] = f"it has no {what}"
        return profiles[at], summaries[at]

    def _prepared(self, key: str, profile: ExportProfile, schema: Schema) -> PreparedSource:
        source = self._work.aligned(key)
        reader, summary = FeatureReader(schema, profile, source), source.summary
        episodes, counted = pieces(reader, source, self._settings.held, self._settings.trim)
        if not episodes:
            why = ", ".join(f"{n} frames {what}" for what, n in counted.items())
            raise ConfigError(f"no frames are left: {why}" if why else "it has no frames")
        for run in (run for runs in episodes for run in runs):
            if problem := reader.overflow(*run):
                raise ConfigError(problem)
        counts = {f"frames {what}": number for what, number in counted.items()}
        for stream in summary.streams:
            if stream.unreadable:
                counts[f"unreadable pictures of {stream.name}"] = stream.unreadable
            if stream.resized:
                counts[f"pictures of {stream.name} of another size than its first"] = stream.resized
        facts = replace(summary.facts, operator=self._renamed(summary.facts.operator))
        laid = LaidOut(key, facts, summary.content, summary.bytes, tuple(episodes), "", counts)
        locked = LockedSource(laid, -1, summary.metadata, summary.files)
        return PreparedSource(locked, {s.name: s.encoding for s in summary.streams if s.size})

    def _passes(
        self,
        sources: Sequence[PreparedSource],
        profile: ExportProfile,
        schema: Schema,
        feature: str,
    ) -> bool:
        """Return whether the packets of a feature's video can be taken over from all sources."""
        for source in sources:
            laid = source.locked.laid_out
            aligned = self._work.aligned(laid.key)
            for runs in laid.episodes:
                episode = DatasetEpisode(0, 0, laid.facts, "", "", 0, runs)
                if not passes(episode, aligned, schema, profile, feature):
                    return False
        return True


def _key(path: Path, options: AlignOptions) -> str:
    """Return a name that changes with the files of a source and with how it is aligned."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    stats = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    text = json.dumps([str(path.resolve()), stats, asdict(options)])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _bytes(path: Path) -> int:
    files = path.iterdir() if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files)
