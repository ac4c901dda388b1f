"""Exports made in a test's folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from robot_recorder.dataset.align_source import AlignOptions, align_source
from robot_recorder.dataset.aligned import AlignedSource
from robot_recorder.dataset.export_profile import ExportProfile, parse_export_profile
from robot_recorder.dataset.export_run import ExportRun
from robot_recorder.dataset.features import FeatureReader, resolved
from robot_recorder.dataset.lock import DatasetLock
from robot_recorder.dataset.pool import LocalPool
from robot_recorder.dataset.settings import ExportReport, ExportSettings


def export(
    target: Path, paths: Sequence[Path], workers: int = 1, old: DatasetLock | None = None,
    renamed: Callable[[str], str] = lambda name: name, **settings: Any,
) -> ExportReport:  # fmt: skip
    """Export bags to a folder."""
    pool = LocalPool(workers)
    try:
        run = ExportRun(target, ExportSettings(**settings), pool, renamed=renamed)
        return run.run(paths, {}, {}, old)
    finally:
        pool.close()


def aligned(folder: Path, path: Path, **options: Any) -> AlignedSource:
    """Align a bag into a folder."""
    align_source(path, folder, AlignOptions(**options))
    return AlignedSource(folder)


def reader(source: AlignedSource, text: str) -> FeatureReader:
    """Return a reader of the features of an export profile."""
    profile: ExportProfile = parse_export_profile(text, "test")
    return FeatureReader(resolved(profile, source.summary, "arm"), profile, source)


def tree(folder: Path) -> dict[str, bytes]:
    """Return the content of all files by path."""
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }
