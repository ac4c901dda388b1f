"""Verify a LeRobot dataset that anybody wrote, v3.0 or v2.0 and v2.1, without LeRobot.

It finds what LeRobot stumbles over, and what it reads wrongly without a word: lost footers, rows
that are not where the list of episodes says, videos of another length, statistics of other data.
Files are read in batches: what is held grows only with the number of episodes and of pictures of
one video.

Sources of the format: lerobot 0.4.4 and 0.6.1, lerobot/datasets. Of the defects:
github.com/huggingface/lerobot, issues 933, 2264, 2283, 2328, 2364, 2401, 2429, 2467, 2529, 2595,
3522, 4143, 4156 and 4704.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from robot_recorder.dataset.verify.episodes import check_list, read_episodes
from robot_recorder.dataset.verify.findings import Defects, Finding
from robot_recorder.dataset.verify.info import check_totals, open_set
from robot_recorder.dataset.verify.reading import OpenedSet
from robot_recorder.dataset.verify.tables import TableScan
from robot_recorder.dataset.verify.tasks import read_tasks
from robot_recorder.dataset.verify.videos import check_video, find_videos


def verify_lerobot(
    root: Path,
    thorough: bool = False,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> list[Finding]:
    """Return all defects of a dataset, the fatal ones first; none: it is sound.

    The packets of videos are counted; they are decoded only if it is thorough. Pictures in tables
    are not decoded. Values that are NaN or infinite are left out of statistics.

    Args:
        root: its folder, with ``meta``, ``data`` and ``videos``.
        thorough: decode all pictures, and compute the statistics of every episode anew instead of
            those of a hundred.
        told: is called with the numbers of files that are done and of all, after each.

    Raises:
        ConfigError: pyarrow is missing.
        CannotDecode: there are videos, and PyAV is missing.
    """
    defects = Defects()
    ds = open_set(Path(root), thorough, defects)
    if ds is not None:
        _verify(ds, told)
    return defects.findings()


def _verify(ds: OpenedSet, told: Callable[[int, int], None]) -> None:
    tasks = read_tasks(ds)
    episodes = read_episodes(ds)
    if episodes is not None:
        check_list(ds, episodes)
    tables, videos = sorted((ds.root / "data").glob("*/*.parquet")), find_videos(ds, episodes)
    scan, total = TableScan(ds, episodes, tasks), len(tables) + len(videos)
    for done, path in enumerate(tables, 1):
        scan.read(path)
        told(done, total)
    scan.finish()
    for done, ((camera, name), rows) in enumerate(videos.items(), len(tables) + 1):
        check_video(ds, ds.features[camera], name, episodes, rows)
        told(done, total)
    counted = {
        "total_episodes": None if episodes is None else len(episodes.number),
        "total_frames": None if scan.unread else scan.rows,
        "total_tasks": None if tasks is None else len(tasks),
    }
    if ds.is_old and "total_videos" in ds.info and episodes is not None:
        counted["total_videos"] = len(videos)
    check_totals(ds, counted)
    _check_leftovers(ds, {name for _, name in videos})


def _check_leftovers(ds: OpenedSet, named: set[str]) -> None:
    for path in sorted((ds.root / "videos").rglob("*.mp4")):
        if ds.name(path) not in named:
            ds.add(ds.name(path), "no episode names this video", "delete it", False)
    if any((ds.root / "images").glob("*/episode*")):
        ds.add("images", "pictures were left that are in no video", "delete the folder", False)
