"""Measures what compressing an episode saves, and how fast it is: ``make bench-compress``.

The episode is a generated take of a humanoid with the noise of its sensors, or one that is given.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import time
from pathlib import Path

from figures import RESULTS, SCRATCH, write_results
from rich.console import Console

from robot_recorder.bags.bag import data_files
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.episodes.compression import Compressor
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.store import EpisodeStore

FOLDER = SCRATCH / "compress"
PROFILE = "unitree_g1_29_dex3"  # the real one behind the simulated robot, with hands that feel


def compress_figures(episode: Path | None = None) -> dict[str, float]:
    """Return what compressing a copy of an episode saves and costs.

    Args:
        episode: its directory; None: a generated take of a humanoid.

    Returns:
        ``compress_ratio``: size before by size after, all files; ``compress_ratio_packed``: of all but
        pictures; ``compress_mb_per_s``: MB before by wall time, reading back and comparing included;
        ``compress_mb_per_cpu_s``: by CPU time, which a busy machine does not change; and the size.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    path = FOLDER / "episode"
    if episode is None:
        from support.robot_bags import write_take
        from support.robot_zoo import make_take

        write_take(make_take(PROFILE, 0), path)
    else:
        shutil.copytree(episode, path)
    began, cpu = time.monotonic(), _cpu_s()
    with Compressor(EpisodeStore(FOLDER)) as work:
        found = work.compress(path)
    seconds, cpu = time.monotonic() - began, _cpu_s() - cpu
    if not found.changed:
        raise SystemExit(f"error: {path} was not compressed: {'; '.join(found.left)}")
    files = [McapIndex.open(f) for f in data_files(path, Episode.open(path).metadata)]
    packed = [chunk for file in files for chunk in file.chunks if chunk.compression]
    shutil.rmtree(FOLDER)
    return {
        "compress_ratio": found.ratio,
        "compress_ratio_packed": sum(c.size for c in packed) / sum(c.stored_size for c in packed),
        "compress_packed_share": sum(c.size for c in packed) / found.before_bytes,
        "compress_mb_per_s": found.before_bytes / 1e6 / seconds,
        "compress_mb_per_cpu_s": found.before_bytes / 1e6 / cpu,
        "compress_mb": found.before_bytes / 1e6,
    }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("episode", nargs="?", type=Path, help="default: a generated take")
    options = parser.parse_args()
    figures = compress_figures(options.episode)
    Console(width=100).print({name: round(value, 3) for name, value in figures.items()})
    if options.episode is None:
        write_results(RESULTS / "compress.json", "python bench/compress.py", figures)


if __name__ == "__main__":
    main()
