"""What every format holds: the values of frames to the last bit, pictures, facts of the sources.

A format without an entry in dataset_readers.py fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from support.dataset_readers import FACTS, READERS, ReadEpisode
from support.dataset_takes import TakeOptions, distances, shown, take
from support.exported import aligned, export

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.dataset.export_profile import parse_export_profile
from robot_recorder.dataset.formats.table import _SHIPPED
from robot_recorder.dataset.frames import DatasetFrames
from robot_recorder.dataset.jobs import file_hash
from robot_recorder.dataset.schema import MISSING, SKEW, STATUS, TICK, DatasetEpisode
from robot_recorder.dataset.settings import ExportReport
from robot_recorder.model.labels import Outcome

CAMERA, DEPTH = "observation.images.camera", "observation.images.depth"
OPTIONS = (
    TakeOptions(seconds=1.3, gap=(0.0, 0.5)),
    TakeOptions(seconds=1.1, broken=(5, 6)),
    TakeOptions(seconds=1.2, gap=(0.5, 0.8)),
)
VARIANTS = [(name, extra) for name, reader in READERS.items() for extra in reader.variants]
SMALL = 30_000  # bytes of a shard that make several


@dataclass(frozen=True)
class Made:
    """Exports of one format.

    Attributes:
        format: its name.
        shards: in several shards by one process.
        again: the same by two processes.
        whole: in one shard.
    """

    format: str
    shards: ExportReport
    again: ExportReport
    whole: ExportReport

    def read(self, report: ExportReport) -> list[ReadEpisode]:
        return READERS[self.format].read(report.target)


class Truth(NamedTuple):
    """What an episode has to hold.

    Attributes:
        columns: of its frames.
        numbers: by camera, of the message that each frame chose; -1: none.
        facts: of its source.
    """

    columns: Mapping[str, np.ndarray]
    numbers: Mapping[str, np.ndarray]
    facts: Mapping[str, str]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("takes")
    return [
        take(root, 0, OPTIONS[0]),
        take(root, 1, OPTIONS[1], outcome=Outcome.UNLABELLED, verdict="review", operator="bob"),
        take(root, 2, OPTIONS[2], task="fold", outcome=Outcome.FAILURE),
    ]


@pytest.fixture(scope="module")
def model(paths: list[Path], tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    """Return a dataset whose profile all others have."""
    return export(tmp_path_factory.mktemp("any") / "set", paths, format="npz")


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda v: " ".join((v[0], *v[1].values())))
def made(
    request: pytest.FixtureRequest, paths: list[Path], model: ExportReport,
    tmp_path_factory: pytest.TempPathFactory,
) -> Made:  # fmt: skip
    name, extra = request.param
    for library in READERS[name].libraries:
        pytest.importorskip(library, reason=f"{name} needs {library}")
    root = tmp_path_factory.mktemp(name)
    how = {"format": name, "extra": extra, "profile": model.lock.profile}
    return Made(
        name,
        export(root / "shards", paths, 1, shard_bytes=SMALL, **how),
        export(root / "again", paths, 2, shard_bytes=SMALL, **how),
        export(root / "whole", paths, 1, **how),
    )


@pytest.fixture(scope="module")
def truths(
    paths: list[Path], model: ExportReport, tmp_path_factory: pytest.TempPathFactory
) -> list[Truth]:
    """Return what all formats have to hold, read from the aligned frames."""
    root = tmp_path_factory.mktemp("truth")
    lock = model.lock
    profile, first = parse_export_profile(lock.profile, "lock"), 0
    found = []
    for number, (path, source) in enumerate(zip(paths, lock.sources)):
        own, laid = aligned(root / str(number), path), source.laid_out
        [runs] = laid.episodes
        episode = DatasetEpisode(number, first, laid.facts, laid.split, laid.content, 0, runs)
        frames = DatasetFrames(episode, own, lock.schema, profile)
        first += len(frames)
        [(start, end)] = runs
        numbers = {
            camera.name: own.array(f"numbers/{camera.streams[0]}")[start:end]
            for camera in lock.schema.cameras
        }
        facts = {
            "source_id": path.name, "source_sha256": laid.content, "outcome": laid.facts.outcome,
            "verdict": laid.facts.verdict, "operator": laid.facts.operator,
            "task": laid.facts.task, "instruction": laid.facts.instruction,
        }  # fmt: skip
        found.append(Truth(frames.whole(), numbers, facts))
    return found


def test_every_format_has_a_reader() -> None:
    assert {one.name for one in _SHIPPED} == READERS.keys()


def test_the_takes_have_what_is_to_be_held(truths: list[Truth]) -> None:
    """Missing values, every kind of status, windows, and frames without a picture."""
    assert np.isnan(truths[0].columns["observation.state"]).any()
    assert truths[0].columns[MISSING].any() and not truths[0].columns[MISSING].all()
    statuses = {int(s) for truth in truths for s in np.unique(truth.columns[STATUS])}
    assert {SampleStatus.MISSING, SampleStatus.HELD, SampleStatus.INTERPOLATED} <= statuses
    assert (truths[1].numbers[CAMERA] < 0).any()
    assert [t.facts["outcome"] for t in truths] == ["success", "unlabelled", "failure"]
    assert truths[1].columns["sync.force.window_mask"].any()


def _same(found: ReadEpisode, truth: Truth, names: set[str]) -> None:
    for name in names:
        wanted = truth.columns[name]
        assert found.columns[name].shape == wanted.shape, name
        np.testing.assert_array_equal(found.columns[name], wanted, name)


def test_every_value_is_that_of_the_frames_to_the_last_bit(made: Made, truths: list[Truth]) -> None:
    episodes = made.read(made.shards)
    assert len(episodes) == len(truths)
    for found, truth in zip(episodes, truths):
        assert found.columns.keys() == truth.columns.keys()
        _same(found, truth, {n for n in truth.columns if ".window" not in n and "sync" not in n})


def test_status_skew_tick_and_what_is_missing_are_there(made: Made, truths: list[Truth]) -> None:
    for found, truth in zip(made.read(made.shards), truths):
        _same(found, truth, {STATUS, SKEW, TICK, MISSING})


def test_windows_have_their_masks_counts_and_times(made: Made, truths: list[Truth]) -> None:
    names = {f"sync.force.window_{what}" for what in ("mask", "count", "time_s")}
    for found, truth in zip(made.read(made.shards), truths):
        _same(found, truth, {"observation.force.window", *names})


def test_pictures_are_those_of_the_bag(made: Made, truths: list[Truth]) -> None:
    for take_, (found, truth) in enumerate(zip(made.read(made.shards), truths)):
        pictures = found.cameras[CAMERA]
        assert pictures.dtype == np.uint8 and len(pictures) == len(truth.numbers[CAMERA])
        for picture, number in zip(pictures, truth.numbers[CAMERA]):
            wanted = np.zeros(picture.shape, np.uint8)
            if number >= 0:
                quality = [cv2.IMWRITE_JPEG_QUALITY, OPTIONS[take_].quality]
                file = cv2.imencode(".jpg", shown(number, take_), quality)[1]
                wanted = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR))[..., ::-1]
            np.testing.assert_array_equal(picture, wanted)


def test_distances_are_within_their_step(made: Made, truths: list[Truth]) -> None:
    for found, truth in zip(made.read(made.shards), truths):
        pictures, step = found.cameras[DEPTH], found.steps[DEPTH]
        assert step < 0.003 and pictures.dtype == np.float32
        for picture, number in zip(pictures, truth.numbers[DEPTH]):
            wanted = np.full(picture.shape, np.nan, np.float32)
            if number >= 0:
                millimetres = distances(2 * number)
                wanted = np.where(millimetres > 0, millimetres / 1000, np.nan).astype(np.float32)
            np.testing.assert_allclose(picture, wanted, rtol=2e-7, atol=step)  # a bit of float32


def test_an_episode_says_where_it_came_from_and_how_it_ended(
    made: Made, truths: list[Truth]
) -> None:
    for found, truth in zip(made.read(made.shards), truths):
        assert found.facts == {name: truth.facts[name] for name in FACTS}


def test_two_processes_write_the_same_bytes_as_one(made: Made) -> None:
    assert made.shards.lock.files == made.again.lock.files
    for name, known in made.again.lock.files.items():
        assert file_hash(made.again.target / name) == known, name


def test_several_shards_hold_what_one_holds(made: Made) -> None:
    assert len({s.shard for s in made.shards.lock.sources}) > 1
    assert len({s.shard for s in made.whole.lock.sources}) == 1
    for several, one in zip(made.read(made.shards), made.read(made.whole), strict=True):
        assert several.facts == one.facts and several.steps == one.steps
        for mine, other in ((several.columns, one.columns), (several.cameras, one.cameras)):
            assert mine.keys() == other.keys()
            for name, values in mine.items():
                np.testing.assert_array_equal(values, other[name], name)
