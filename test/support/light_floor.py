"""Light robots' episodes, and what a centre that has all of them holds."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from robot_recorder.configuration.tasks import Task
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.receipts import Receipt, Signer
from robot_recorder.floor.sim.account import CentreHolding, RobotTruth, as_listed
from robot_recorder.floor.sim.recorder import SimJournal, SimRecorder, ids_of
from robot_recorder.floor.sim.take import TakeReplay
from robot_recorder.floor.sim.template import draw_template
from robot_recorder.floor.store import open_store

TASKS = [Task("lift_box", "Lift the box.", ("slip",)), Task("fold_towel", "Fold the towel.")]
NOW_NS = 1_800_000_000_000_000_000


@cache
def replay() -> TakeReplay:
    """Return a short episode to replay."""
    return TakeReplay(draw_template(Path(mkdtemp()) / "template", seconds=1.0))


def light_recorder(folder: Path, robot: str = "robot_001", seed: int = 1) -> SimRecorder:
    """Return the recording half of a light robot, begun; its clock ticks a second a look."""
    ticks = iter(range(10**9))
    recorder = SimRecorder(
        open_store(folder / robot), robot, replay(), journal(folder, robot), TASKS, 20,
        lambda: NOW_NS + next(ticks) * 10**9, random.Random(seed),
    )  # fmt: skip
    recorder.begin()
    return recorder


def journal(folder: Path, robot: str = "robot_001") -> SimJournal:
    """Return a robot's journal."""
    return SimJournal(folder / f"{robot}.jsonl")


def holdings_of(truth: RobotTruth, signer: Signer) -> dict[str, CentreHolding]:
    """Return what a centre has that lacks nothing, by episode."""
    found = {}
    for id, manifest in truth.bags.items():
        episode = Episode.open(truth.on_disk.get(id) or truth.trashed[id])
        receipt = Receipt(
            truth.site, id, manifest.sha256, manifest.size_bytes, NOW_NS, "centre", signer.key_id
        )
        found[id] = CentreHolding(
            truth.site, id, 1, as_listed(episode.labels), episode.facts["labels"],
            frozenset(ids_of(episode)), frozenset(ids_of(episode)),
            {file.name: (file.size, file.sha256) for file in manifest.files},
            signer.sign(receipt).to_plain(), NOW_NS,
        )  # fmt: skip
    return found


def store_of(folder: Path, robot: str = "robot_001") -> EpisodeStore:
    """Return a robot's store."""
    return open_store(folder / robot)
