"""The card of a dataset: README.md for Hugging Face, and card.html with charts and samples.

Both show the same sections. Names and sentences come from bags: whatever they hold is shown as
text. The same dataset gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from robot_recorder.dataset.card.about import About, CardOptions
from robot_recorder.dataset.card.page import page_text
from robot_recorder.dataset.card.readme import readme_text
from robot_recorder.dataset.card.samples import PicturesOf, make_samples
from robot_recorder.dataset.card.sync import SyncSummary
from robot_recorder.dataset.lock import DatasetLock
from robot_recorder.dataset.pool import Pool
from robot_recorder.dataset.schema import ShardSpec

README, PAGE = "README.md", "card.html"


def write_card(
    folder: Path,
    lock: DatasetLock,
    shards: Sequence[ShardSpec],
    summaries: Mapping[int, SyncSummary],
    pictures: PicturesOf,
    options: CardOptions,
    pool: Pool,
    earlier: Path | None = None,
) -> list[str]:
    """Write the card of a dataset; return the paths of its files, relative to the folder.

    A sample that cannot be made is left out: no export fails because of its card.

    Args:
        folder: of the dataset, whose other files are written.
        lock: of the dataset, with these other files.
        shards: of the dataset.
        summaries: by episode index; the card says of how many episodes they are.
        pictures: returns what samples are made of.
        options: what else the card says.
        pool: where samples are made.
        earlier: folder of the dataset that is brought up to date; its samples are taken over.

    Raises:
        OSError: the disk does not take it.
    """
    episodes = tuple(e for shard in shards for e in shard.episodes)
    samples = make_samples(folder, lock.schema, episodes, pictures, earlier, pool)
    about = About(lock, episodes, summaries, options, samples)
    texts = {README: readme_text(about), PAGE: page_text(folder, about)}
    for name, text in texts.items():
        (folder / name).unlink(missing_ok=True)  # it may be a link to that of an earlier dataset
        (folder / name).write_text(text, encoding="utf-8")
    return sorted([*texts, *(path for s in samples for path in s.paths)])
