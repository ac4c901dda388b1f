"""What ``export`` does: choose sources, run the export, and say what became of it."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import Entry
from robot_recorder.catalogue.query import Query
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.filters import filter_of
from robot_recorder.cli.progress import Shown, working
from robot_recorder.cli.roots import with_catalogues
from robot_recorder.cli.terminal import say, say_json
from robot_recorder.dataset.align_source import AlignOptions, align_source
from robot_recorder.dataset.aligned import AlignedSource
from robot_recorder.dataset.card.about import CardOptions
from robot_recorder.dataset.export_profile import ActionKind, default_profile, parse_export_profile
from robot_recorder.dataset.export_run import ExportRun
from robot_recorder.dataset.lock import DatasetLock, difference, read_lock
from robot_recorder.dataset.pool import JobProgress, LocalPool, Pool
from robot_recorder.dataset.remote import is_remote
from robot_recorder.dataset.selection import (
    Balance,
    Choice,
    Selected,
    choose,
    parse_split,
    read_entries,
    read_list,
)
from robot_recorder.dataset.settings import ExportReport, ExportSettings, OperatorNames
from robot_recorder.dataset.trimming import Held, Trim
from robot_recorder.dataset.video import VideoMode
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.labels import Outcome
from robot_recorder.model.text import plural, visible
from robot_recorder.quality.verdict import Verdict

_IDLE = "idle"
_MOST_REASONS = 12
_SLOW_S = 2.0  # a job that takes longer is named
_RATE_HZ = 30.0  # for the estimate of a dry run


def export_episodes(options: argparse.Namespace) -> int:
    """Carry out the command ``export``.

    Raises:
        RecorderError: nothing can be exported; says why.
    """
    remote = next((t for t in (options.out, options.update) if t and is_remote(t)), "")
    options.out, options.update = (
        _local_target(t, options) if t else None for t in (options.out, options.update)
    )
    old, target = _target(options)
    if old is not None:
        _refuse_other(options)
    settings = ExportSettings.from_dict(old.settings) if old is not None else _settings(options)
    selected, selection = _selected(options, old)
    if options.save_selection:
        _write(
            Path(options.save_selection), "\n".join(str(e.path) for e in selected.entries) + "\n"
        )
    if options.dry_run:
        return _say_plan(options, settings, selected)
    if options.write_profile:
        return _write_profile(Path(options.write_profile), settings, selected)
    if target is None:
        raise ConfigError("--out is missing; name the folder of the new dataset")
    began = time.monotonic()
    with working() as shown, _pseudonyms(options, settings.operators) as renamed:
        pool = _pool(options)
        run = ExportRun(target, settings, pool, partial(_tell, shown), renamed)
        paths = [e.path for e in selected.entries]
        base = old if options.update else None
        try:
            exact = old if options.lock else None
            report = run.run(paths, selected.left_out, selection, base, exact)
        except OSError as error:
            name = error.filename or target
            raise ConfigError(f"{name} cannot be written: {error.strerror or error}") from error
        finally:
            pool.close()
    if base is not None:
        _say_changes(options, base, report.lock)
    _say_report(options, report, time.monotonic() - began)
    if remote:
        _send(report.target, remote)
    return ExitCode.OK


def _cache(options: argparse.Namespace) -> Path:
    """Return the folder for what comes from and goes to s3://."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(options.cache or home / "robot_recorder")


def _local_target(text: str, options: argparse.Namespace) -> Path:
    """Return the folder in which a dataset is made; one for s3:// is kept for its next update."""
    if not is_remote(text):
        return Path(text)
    folder = _cache(options) / "datasets" / text.removeprefix("s3://").strip("/")
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder


def _send(folder: Path, url: str) -> None:
    """Send a dataset to s3://."""
    from robot_recorder.dataset.remote import uploaded

    with working() as shown:
        sent = uploaded(folder, url, partial(_tell, shown, "sending"))
    say(f"{url}: {sent.sent} files sent, {sent.kept} unchanged, {sent.removed} removed")


def _target(options: argparse.Namespace) -> tuple[DatasetLock | None, Path | None]:
    """Return the lock to follow, and the folder of the dataset."""
    if options.update:
        if options.out or options.lock:
            raise ConfigError("--update takes neither --out nor --lock")
        return read_lock(options.update), options.update
    if options.out is not None and options.out.exists() and not options.dry_run:
        raise ConfigError(
            f"{options.out} exists; bring it up to date with --update {options.out}, or choose another --out"
        )
    return (read_lock(Path(options.lock)) if options.lock else None), options.out


def _settings(options: argparse.Namespace) -> ExportSettings:
    profile = ""
    if options.profile:
        try:
            profile = Path(options.profile).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{options.profile} cannot be read: {error}") from error
    rate, reference = options.rate, options.reference
    if options.profile and options.action is not None:
        raise ConfigError(
            "--action goes with the default features; the profile says what its action is"
        )
    if options.profile:
        parsed = parse_export_profile(profile, options.profile)
        rate, reference = rate or parsed.rate_hz, reference or parsed.reference
    align = AlignOptions(rate, reference, options.causal, options.native, options.robot_profile)
    names = tuple(name for name in options.trim if name != _IDLE)
    extra = dict(_pair(text) for text in options.set)
    return ExportSettings(
        options.format, align, options.action or ActionKind.COMMAND, options.held, Trim(names, _IDLE in options.trim),
        options.video, round(options.shard_mb * 1e6), parse_split(options.split), options.seed,
        profile, extra, CardOptions(options.license, not options.no_operators, options.title), _operators(options),
    )  # fmt: skip


def _operators(options: argparse.Namespace) -> OperatorNames:
    if options.pseudonyms is not None:
        return OperatorNames.PSEUDONYMS
    return OperatorNames.LEFT_OUT if options.no_operators else OperatorNames.KEPT


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set {text}: write it as name=value")
    return name, value


# -- choosing


def _selected(
    options: argparse.Namespace, old: DatasetLock | None
) -> tuple[Selected, dict[str, Any]]:
    """Return the chosen episodes, and how they were chosen."""
    if old is not None and options.lock:
        entries, problems = read_entries(Path(s.path) for s in old.sources)
        if problems:
            raise BagError("; ".join(problems.values()))
        by_path = {str(e.path): e for e in entries}
        found = tuple(by_path[str(Path(s.path))] for s in old.sources)
        return Selected(found, old.left_out), old.selection
    selection = _selection(options)
    if old is not None:
        selection = {
            **old.selection,
            **({"sources": selection["sources"]} if options.source else {}),
        }
    sources = [path for text in selection["sources"] for path in _local(text, options)]
    if selection["list"]:
        sources += read_list(Path(selection["list"]))
    selected = _chosen(sources, _choice(selection), options, selection)
    if not selected.entries:
        raise ConfigError(f"no episode is selected; {_most(selected.left_out)}")
    return selected, selection


def _local(text: str, options: argparse.Namespace) -> list[Path]:
    """Return the paths of a source; episodes from s3:// are fetched, unless they are there already."""
    if not is_remote(text):
        return [Path(text)]
    from robot_recorder.dataset.remote import fetched, list_episodes

    urls = list_episodes(text)
    if not urls:
        raise ConfigError(f"{text}: there is no episode below it")
    found = []
    with working() as shown:
        for number, url in enumerate(urls):
            shown("fetching", url, number, len(urls))
            found.append(fetched(url, _cache(options) / "episodes"))
    return found


def _selection(options: argparse.Namespace) -> dict[str, Any]:
    sources = options.source or ([] if options.selection else ["episodes"])
    return {
        "sources": [s if is_remote(s) else str(Path(s).absolute()) for s in sources],
        "list": str(Path(options.selection).absolute()) if options.selection else "",
        "task": options.task, "robot": options.robot, "operator": options.operator,
        "since_ns": options.since, "until_ns": options.until,
        "outcomes": _texts(options.outcome), "verdicts": _texts(options.verdict),
        "annotations": options.annotation, "exclude": options.exclude, "limit": options.limit,
        "balance": options.balance.value if options.balance else None, "seed": options.seed,
    }  # fmt: skip


def _texts(words: list[Any] | None) -> list[str] | None:
    if words is None:
        return None
    return ["any"] if None in words else [word.text for word in words]


def _choice(selection: Mapping[str, Any]) -> Choice:
    def members(kind: Any, texts: list[str] | None) -> Any:
        if texts is None:
            return None
        return tuple(m for m in kind if texts == ["any"] or m.text in texts)

    plain = {
        k: selection[k]
        for k in ("task", "robot", "operator", "since_ns", "until_ns", "limit", "seed")
    }
    return Choice(
        members(Outcome, selection["outcomes"]), members(Verdict, selection["verdicts"]),
        annotations=tuple(selection["annotations"]), exclude=tuple(selection["exclude"]),
        balance=Balance(selection["balance"]) if selection["balance"] else None, **plain,
    )  # fmt: skip


def _chosen(
    sources: list[Path], choice: Choice, options: argparse.Namespace, selection: Mapping[str, Any]
) -> Selected:
    """Choose among bags, and the episodes of folders."""
    bags: list[Path] = []
    roots: list[Path] = []
    for path in dict.fromkeys(sources):
        (bags if _is_bag(path) else roots).append(path)
    entries, problems = read_entries(bags)
    if roots:
        wanted = argparse.Namespace(
            outcome=None, verdict=None, longer=None, shorter=None, task=selection["task"],
            robot=selection["robot"], operator=selection["operator"], since=selection["since_ns"],
            until=selection["until_ns"],
        )  # fmt: skip

        def collect(catalogues: list[Catalogue]) -> int:
            filter = filter_of(wanted, catalogues)
            for catalogue in catalogues:
                entries.extend(Query(catalogue, filter).all())
                problems.update({p: p for p in catalogue.unreadable()})
            return ExitCode.OK

        with_catalogues(roots, collect)
    once = {entry.path.resolve(): entry for entry in entries}
    selected = choose(once.values(), choice)
    return Selected(selected.entries, {**problems, **selected.left_out})


def _is_bag(path: Path) -> bool:
    if not path.is_dir():
        return True
    return any(path.glob("*.mcap")) or any(path.glob("*.db3")) or (path / "metadata.yaml").exists()


# -- saying


def _say_plan(options: argparse.Namespace, settings: ExportSettings, selected: Selected) -> int:
    """Say what would be exported, and why each other episode would not."""
    seconds = sum(e.duration_ms for e in selected.entries) / 1000
    size = sum(e.size_bytes for e in selected.entries)
    rate = settings.align.rate_hz or _usual_rate(selected.entries)
    if options.json:
        say_json({
            "episodes": len(selected.entries), "about_frames": round(seconds * rate),
            "hours": seconds / 3600, "source_bytes": size,
            "paths": [str(e.path) for e in selected.entries], "left_out": dict(selected.left_out),
        })  # fmt: skip
        return ExitCode.OK
    say(f"{plural(len(selected.entries), 'episode')}, {_hours(seconds)}, {size / 1e6:,.0f} MB of bags, "
        f"about {seconds * rate:,.0f} frames at {rate:g} Hz")  # fmt: skip
    _say_groups(selected.entries)
    for path, why in selected.left_out.items():
        say(f"left out: {visible(path)}: {visible(why)}")
    return ExitCode.OK


def _usual_rate(entries: tuple[Entry, ...]) -> float:
    """Return about how many frames a second the episodes had when they were recorded."""
    known = [e.frames / e.duration_ms * 1000 for e in entries if e.frames and e.duration_ms]
    return float(round(median(known))) if known else _RATE_HZ


def _say_groups(entries: tuple[Entry, ...]) -> None:
    for column in ("task", "operator", "robot"):
        counted = Counter(getattr(e, column) or "unknown" for e in entries)
        say(f"  {column}: " + ", ".join(f"{visible(n)} {c}" for n, c in counted.most_common(8)))


def _say_report(options: argparse.Namespace, report: ExportReport, took_s: float) -> None:
    if options.json:
        say_json({
            "dataset": str(report.target), "episodes": report.episodes, "frames": report.frames,
            "seconds": report.seconds, "took_s": took_s, "reused_shards": report.reused,
            "left_out": report.lock.left_out, "counted": report.lock.counted,
        })  # fmt: skip
        return
    if report.started_anew:
        say("what an earlier export with other settings had begun was deleted")
    for line in reasons(report.lock.left_out):
        say(f"left out: {line}")
    for what, count in report.lock.counted.items():
        say(f"  {count:,} {what}")
    size = sum(size for size, _ in report.lock.files.values())
    reused = f", {plural(report.reused, 'shard')} unchanged" if report.reused else ""
    say(f"{report.target}: {plural(report.episodes, 'episode')}, {report.frames:,} frames, "
        f"{_hours(report.seconds)}, {size / 1e6:,.1f} MB in {took_s:.1f} s, "
        f"{report.seconds / took_s:.0f} x real time{reused}")  # fmt: skip


def reasons(left_out: Mapping[str, str]) -> Iterator[str]:
    """Yield reasons with the episodes they apply to, the most frequent first."""
    groups: dict[str, list[str]] = {}
    for path, why in left_out.items():
        groups.setdefault(why, []).append(Path(path).name)
    for why, names in sorted(groups.items(), key=lambda item: -len(item[1]))[:_MOST_REASONS]:
        some = ", ".join(visible(n) for n in names[:3]) + (", ..." if len(names) > 3 else "")
        yield f"{len(names)}: {visible(why)} ({some})"
    if len(groups) > _MOST_REASONS:
        yield f"... and {len(groups) - _MOST_REASONS} more reasons; all are in the lock file"


def _most(left_out: Mapping[str, str]) -> str:
    return "; ".join(reasons(left_out)) or "there is none"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def _write_profile(path: Path, settings: ExportSettings, selected: Selected) -> int:
    """Write the export profile that the first episode gives."""
    with tempfile.TemporaryDirectory() as folder:
        align_source(selected.entries[0].path, Path(folder) / "first", settings.align)
        streams = AlignedSource(Path(folder) / "first").summary.streams
    profile = default_profile(streams, settings.action)
    _write(path, profile.dump())
    say(f"{path}: {plural(len(profile.features), 'feature')}; edit it and give it with --profile")
    return ExitCode.OK


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error


# -- working


def _pool(options: argparse.Namespace) -> Pool:
    if not options.on:
        return LocalPool(options.workers)
    from robot_recorder.dataset.ray_pool import RayPool

    if options.on != "ray" and not options.on.startswith("ray"):
        raise ConfigError(f"--on {options.on}: it is 'ray', or ray://host:port")
    return RayPool(None if options.on == "ray" else options.on, options.workers)


def _tell(shown: Shown, what: str, progress: JobProgress) -> None:
    """Show how far the jobs are, and which of them is slow."""
    slow = max(progress.running, key=lambda n: progress.running[n], default="")
    slowest = progress.running.get(slow, 0.0)
    detail = f"{slow} ({slowest:.0f} s)" if slowest >= _SLOW_S else ""
    shown(what, detail, progress.finished, progress.jobs)


@contextmanager
def _pseudonyms(options: argparse.Namespace, kind: OperatorNames) -> Iterator[Callable[[str], str]]:
    """Yield what becomes of an operator's name: it stays, goes, or becomes a number that a file keeps.

    Raises:
        ConfigError: the file is missing for a dataset of pseudonyms, or cannot be used.
    """
    if kind is not OperatorNames.PSEUDONYMS:
        if options.pseudonyms is not None:
            raise ConfigError("this dataset was made without pseudonyms; make a new one with them")
        yield lambda name: name if kind is OperatorNames.KEPT else ""
        return
    if options.pseudonyms is None:
        raise ConfigError("this dataset has pseudonyms; give their file with --pseudonyms FILE")
    file = Path(options.pseudonyms)
    try:
        known: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    _write_names(file, known)  # before anything is exported

    def renamed(name: str) -> str:
        if name and name not in known:
            known[name] = f"operator_{len(known) + 1}"
            _write_names(file, known)
        return known.get(name, "")

    yield renamed


def _write_names(file: Path, known: Mapping[str, str]) -> None:
    _write(file, json.dumps(known, indent=1, ensure_ascii=False) + "\n")


def _say_changes(options: argparse.Namespace, before: DatasetLock, after: DatasetLock) -> None:
    """Say which episodes an update added, took out and exported anew."""
    if options.json:
        return
    found = difference(before, after)
    for path in found.added:
        say(f"added: {visible(path)}")
    for path, why in found.removed.items():
        say(f"taken out: {visible(path)}: {visible(why)}")
    for path, what in found.changed.items():
        say(f"exported anew: {visible(path)}: {visible(what)} changed")


# Options that say how a dataset is made, or of which episodes, and what they are if nobody gives them.
_MADE: dict[str, Any] = {
    "task": None, "robot": None, "operator": None, "since": None, "until": None, "outcome": None,
    "verdict": None, "annotation": [], "limit": None, "balance": None, "selection": None, "split": "",
    "seed": 0, "rate": None, "reference": "", "causal": False, "action": None, "held": Held.KEEP,
    "trim": [], "profile": None, "robot_profile": "", "format": "lerobot", "video": VideoMode.AUTO,
    "native": False, "shard_mb": 100.0, "set": [], "title": "", "license": "", "no_operators": False,
}  # fmt: skip


def _refuse_other(options: argparse.Namespace) -> None:
    """Refuse options that a dataset's lock decides.

    Raises:
        ConfigError: one is given.
    """
    given = [name for name, usual in _MADE.items() if getattr(options, name) != usual]
    if given:
        words = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ConfigError(
            f"{words}: the dataset's lock says how it is made; make a new one with --out"
        )


def verify(options: argparse.Namespace) -> int:
    """Carry out ``export verify``."""
    from robot_recorder.dataset.verify.dataset import verify_dataset

    findings = verify_dataset(options.dataset, options.thorough)
    for finding in findings:
        if options.json:
            say_json(asdict(finding))
        else:
            say(f"{visible(finding.where)}: {visible(finding.what)}. {visible(finding.fix)}")
    if not options.json:
        say(f"{options.dataset}: " + (plural(len(findings), "finding") if findings else "sound"))
    return ExitCode.FINDING if findings else ExitCode.OK
