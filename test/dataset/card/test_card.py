"""The card of a dataset: what it says, that it is safe, and that it is always the same.

Holds also: about.py, blocks.py, charts.py, page.py, readme.py, samples.py, sections.py, streams.py, sync.py.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from support.browser import Browser
from support.dataset_takes import TakeOptions, take
from support.exported import aligned, export
from support.full_robot import HOSTILE
from support.reports import in_browser

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.dataset.aligned import AlignedSource
from robot_recorder.dataset.card import samples
from robot_recorder.dataset.card.about import CardOptions
from robot_recorder.dataset.card.card import write_card
from robot_recorder.dataset.card.sync import SyncSummary, summarise
from robot_recorder.dataset.export_profile import ExportProfile, parse_export_profile
from robot_recorder.dataset.frames import DatasetFrames, pictures_of
from robot_recorder.dataset.layout import numbered
from robot_recorder.dataset.lock import DatasetLock
from robot_recorder.dataset.pictures import ChosenPictures
from robot_recorder.dataset.pool import LocalPool
from robot_recorder.dataset.schema import DatasetEpisode, ShardSpec, SourceFacts
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.video_decoder import CannotDecode, pyav

EVIL = HOSTILE + "\x1b[31m\x00\u202e`|[a](javascript:pwned)![b](//evil)\n# www.evil.org **b** \\"


@dataclass
class Exported:
    """A dataset and what its card is made of."""

    lock: DatasetLock
    shards: list[ShardSpec]
    sources: Mapping[str, AlignedSource]
    summaries: dict[int, SyncSummary]

    @property
    def episodes(self) -> list[DatasetEpisode]:
        return [e for shard in self.shards for e in shard.episodes]

    @property
    def profile(self) -> ExportProfile:
        return parse_export_profile(self.lock.profile, "lock")

    def frames(self, episode: DatasetEpisode) -> DatasetFrames:
        source = self.sources[episode.facts.path]
        return DatasetFrames(episode, source, self.lock.schema, self.profile)

    def pictures(self, episode: DatasetEpisode) -> Mapping[str, ChosenPictures]:
        source = self.sources[episode.facts.path]
        return pictures_of(episode, source, self.lock.schema, self.profile)

    def written(self, folder: Path, options: CardOptions | None = None, **more: Any) -> list[str]:
        """Write the card into a folder, with pictures unless others are given."""
        folder.mkdir(exist_ok=True)
        more = {
            "pictures": self.pictures,
            "options": options or CardOptions(),
            "pool": LocalPool(1),
            **more,
        }
        return write_card(folder, self.lock, self.shards, self.summaries, **more)

    def known_as(self, lock: Mapping[str, Any] = {}, **facts: Any) -> Exported:
        """Return it with other facts of every episode, and other content of the lock."""
        shards = []
        for shard in self.shards:
            episodes = (replace(e, facts=replace(e.facts, **facts)) for e in shard.episodes)
            shards.append(replace(shard, episodes=tuple(episodes)))
        return replace(self, shards=shards, lock=replace(self.lock, **lock))


def made(root: Path, paths: list[Path]) -> Exported:
    lock = export(root / "dataset", paths, shares={"val": 0.25}).lock
    groups: dict[int, list] = {}
    for source in lock.sources:
        groups.setdefault(source.shard, []).append(source.laid_out)
    sources = {str(p): aligned(root / f"aligned_{i}", p) for i, p in enumerate(paths)}
    found = Exported(lock, numbered(groups, lock.schema), sources, {})
    for e in found.episodes:
        streams = sources[e.facts.path].summary.streams
        found.summaries[e.index] = summarise(found.frames(e), streams)
    return found


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    root = tmp_path_factory.mktemp("card")
    return made(root, [
        take(root, 0, TakeOptions(seconds=2)),
        take(root, 1, TakeOptions(gap=(1, 1.8)), outcome=Outcome.FAILURE, operator="bob"),
        take(root, 2, TakeOptions(seconds=2), outcome=Outcome.UNLABELLED, verdict="review"),
        take(root, 3, TakeOptions(seconds=2), task="pour"),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def folder(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("cards") / "arm"
    exported.written(found, CardOptions("cc-by-4.0"))
    return found


def front_of(folder: Path) -> dict:
    return yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])


def row_of(readme: str, *starts: str) -> list[str]:
    """Return the cells of the only row of a table that begins with some cells."""
    rows = [line.strip("| \n").split(" | ") for line in readme.splitlines() if line.startswith("|")]
    (found,) = (row for row in rows if tuple(c.strip("`") for c in row[: len(starts)]) == starts)
    return found


# -- what it says


def test_skews_are_those_of_the_frames(exported: Exported) -> None:
    episode = exported.episodes[1]  # the one with a gap
    source, found = exported.sources[episode.facts.path], exported.summaries[episode.index]
    assert found.frames == episode.length == len(source)
    for at, stream in enumerate(source.summary.streams):
        status = np.asarray(source.array("status"))[:, at]
        skews = np.abs(np.asarray(source.array("skews"))[:, at]) / 1e6
        there = skews[status != SampleStatus.MISSING]
        own = found.streams[stream.name]
        assert (own.p50_ms, own.p95_ms, own.max_ms) == pytest.approx(
            np.percentile(there, (50, 95, 100)), rel=1e-4
        )
        assert own.held == pytest.approx(np.mean(status == SampleStatus.HELD))
        assert own.missing == pytest.approx(np.mean(status == SampleStatus.MISSING))
        assert (own.topic, own.rate_hz) == (stream.topic, stream.rate_hz)
    assert found.streams["joints"].held
    assert SyncSummary.from_dict(json.loads(json.dumps(asdict(found)))) == found
    assert summarise(exported.frames(episode)).streams["joints"].rate_hz is None


def test_the_readme_says_what_the_dataset_holds(exported: Exported, folder: Path) -> None:
    readme = (folder / "README.md").read_text()
    front = front_of(folder)
    assert front["license"] == "cc-by-4.0"
    assert front["tags"] == ["LeRobot", "robot_recorder"]
    assert front["task_categories"] == ["robotics"]
    assert front["size_categories"] == ["n<1K"]
    assert front["configs"] == [{"config_name": "default", "data_files": "data/*/*.parquet"}]
    assert "# arm: lift, pour" in readme
    assert "LeRobotDataset(" in readme and "MJPEG" not in readme
    assert row_of(readme, "success rate") == ["success rate", "67 %"]
    assert row_of(readme, "operators")[1] == "ann, bob"
    lift = [e for e in exported.episodes if e.facts.task == "lift"]
    seconds = sum(e.length for e in lift) / exported.lock.schema.rate_hz
    assert row_of(readme, "lift") == [
        "`lift`", "Please lift it.", "3", f"{seconds:.1f} s", "1", "1", "1", "50 %"
    ]  # fmt: skip
    assert row_of(readme, "split", "val")[2] == "1"
    assert row_of(readme, "operator", "ann")[2] == "3"
    assert row_of(readme, "observation.images.camera", "96 × 64") == [
        "`observation.images.camera`", "96 × 64", "20 Hz", "jpeg 4:2:0", "JPEG, as recorded"
    ]  # fmt: skip
    assert row_of(readme, "observation.images.depth", "96 × 64")[3].startswith("depth")
    assert row_of(readme, "joints", "/joint_states")[-1] == "100 Hz"
    state = row_of(readme, "observation.state")
    assert state[2:5] == ["2", "float32", "rad"]
    assert row_of(readme, "observation.force.window")[2].endswith(" × 6")
    for name in exported.lock.schema.streams:
        worst = max(s.streams[name].max_ms or 0 for s in exported.summaries.values())
        told = [row for row in readme.splitlines() if row.startswith(f"| `{name}` |")][-1]
        assert float(told.split(" | ")[4].replace(",", "")) == pytest.approx(worst, abs=0.5)
    assert "robot-recorder export --lock export.lock.json --out " in readme


def test_what_was_left_out_is_grouped(exported: Exported, tmp_path: Path) -> None:
    left_out = {
        "/a/one": "failure: drop", "/a/two": "failure: drop", "/a/three": "/a/three: cut off",
    }  # fmt: skip
    counted = {"frames trimmed": 12, "repeated pictures of observation.images.depth": 1234}
    changed = exported.known_as({"left_out": left_out, "counted": counted})
    changed.written(tmp_path / "c")
    readme = (tmp_path / "c" / "README.md").read_text()
    assert row_of(readme, "failure: drop") == ["failure: drop", "2", "one, two"]
    assert row_of(readme, "it: cut off") == ["it: cut off", "1", "three"]
    assert row_of(readme, "frames trimmed") == ["frames trimmed", "12"]
    assert "2 failures were left out" in readme
    assert "1,234" in (tmp_path / "c" / "card.html").read_text()


def test_what_is_unknown_is_not_zero(exported: Exported, tmp_path: Path) -> None:
    facts = {**asdict(SourceFacts("x", "")), "annotations": ()}
    del facts["id"], facts["path"]
    bare = replace(exported.known_as({"files": {}, "settings": {}}, **facts), summaries={})
    bare.written(tmp_path / "c")
    readme = (tmp_path / "c" / "README.md").read_text()
    for name in ("success rate", "robots", "operators", "recorded", "size", "licence"):
        assert row_of(readme, name)[1] == "unknown", name
    assert "| `joints` |" + " unknown |" * 6 in readme
    assert "0 of 4 episodes; of the others it is unknown" in readme
    assert "license" not in front_of(tmp_path / "c")
    assert "an unknown robot" in readme and "LeRobot" not in readme
    page = (tmp_path / "c" / "card.html").read_text()
    assert "NaN" not in page and "nan" not in re.sub(r"base64,[^\"]+", "", page)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("MIT", {"license": "mit"}),
        ("CC-BY-NC-SA-4.0", {"license": "cc-by-nc-sa-4.0"}),
        ("Our own: ask", {"license": "other", "license_name": "our_own_ask"}),
    ],
)
def test_licences_are_named_as_hugging_face_does(
    exported: Exported, tmp_path: Path, text: str, expected: dict[str, str]
) -> None:
    exported.written(tmp_path / "c", CardOptions(text), pictures=lambda episode: {})
    assert front_of(tmp_path / "c").items() >= expected.items()


def test_operators_are_not_named_on_request(exported: Exported, tmp_path: Path) -> None:
    exported.written(tmp_path / "c", CardOptions(show_operators=False))
    for name in ("README.md", "card.html"):
        text = (tmp_path / "c" / name).read_text()
        assert "2 operators, not named here" in text
        assert not re.search(r"\b(ann|bob)\b", text)


def test_large_datasets_have_short_tables(exported: Exported, tmp_path: Path) -> None:
    (shard,) = exported.shards
    first = shard.episodes[0]
    episodes = tuple(
        replace(first, index=i, facts=replace(first.facts, task=f"t{i:03d}")) for i in range(200)
    )
    many = replace(exported, shards=[replace(shard, episodes=episodes)])
    many.written(tmp_path / "c", pictures=lambda episode: {})
    readme = (tmp_path / "c" / "README.md").read_text()
    assert "`t049`" in readme and "`t050`" not in readme
    assert "… and 150 more tasks; export.lock.json lists all" in readme
    assert (tmp_path / "c" / "card.html").stat().st_size < 60_000


# -- that it is safe


class Tags(HTMLParser):
    """The tags of a page and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))


def assert_safe(folder: Path) -> None:
    """Check that no text of a bag became a tag, an address or an attribute."""
    markdown = pytest.importorskip("markdown_it").MarkdownIt("gfm-like", {"linkify": False})
    readme = (folder / "README.md").read_text()
    front = yaml.safe_load(readme.split("---\n")[1])
    drawn = markdown.render(readme.split("---\n", 2)[2])
    page = (folder / "card.html").read_text()
    for tag, attributes in Tags(drawn).found:
        assert re.fullmatch("table|thead|tbody|tr|t[hd]|h[12]|p|pre|code|a|img|br", tag)
        for key in ("src", "href"):
            assert (attributes.get(key) or "samples/").startswith("samples/")
    for tag, attributes in Tags(page).found:
        assert tag not in ("script", "iframe", "object", "base", "form")
        assert not any(key.startswith("on") for key in attributes)
        for key in ("src", "href", "poster"):
            assert re.match(r"samples/|data:image/jpeg;|#|$", attributes.get(key) or "")
    for text in (readme, page):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert isinstance(front["pretty_name"], str)


def test_texts_of_bags_are_only_shown(exported: Exported, tmp_path: Path) -> None:
    schema = exported.lock.schema
    names = tuple(f"{name}{EVIL}" for name in schema.streams)
    lock = {
        "left_out": {f"/a/{EVIL}": EVIL}, "counted": {EVIL: 1}, "version": EVIL,
        "schema": replace(schema, streams=names, robot=EVIL),
    }  # fmt: skip
    fields = (
        "task",
        "instruction",
        "outcome",
        "cause",
        "verdict",
        "operator",
        "robot",
        "recorder",
        "id",
    )
    evil = exported.known_as(lock, **dict.fromkeys(fields, EVIL), annotations=((EVIL, 0.0, 1.0),))
    summaries = {}
    for i, s in evil.summaries.items():
        streams = {f"{n}{EVIL}": replace(v, topic=EVIL, type=EVIL) for n, v in s.streams.items()}
        summaries[i] = SyncSummary(s.frames, streams)
    evil = replace(evil, summaries=summaries)
    files = evil.written(tmp_path / "c", CardOptions(EVIL, title=EVIL))
    assert all(re.fullmatch(r"[\w./-]+", name) for name in files)
    assert_safe(tmp_path / "c")
    assert "pwned" in (tmp_path / "c" / "README.md").read_text()


@settings(max_examples=40)
@given(text=st.text(max_size=60))
def test_any_text_is_only_shown(
    exported: Exported, tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    odd = exported.known_as(task=text, instruction=text, operator=text, robot=text)
    odd.written(folder, CardOptions(text, title=text), pictures=lambda episode: {})
    assert_safe(folder)


# -- samples


def test_samples_can_be_played(exported: Exported, folder: Path) -> None:
    clips = sorted((folder / "samples").glob("*.mp4"))
    assert len(clips) == 4  # of two tasks, two cameras each
    for clip in clips:
        assert clip.stat().st_size < 400_000
        with pyav().open(str(clip)) as file:
            stream = file.streams.video[0]
            assert (stream.codec.name, stream.pix_fmt) == ("h264", "yuv420p")
            assert (stream.width, stream.height) == (96, 64)
            shown = [f.to_ndarray(format="bgr24") for f in file.decode(stream)]
        still = cv2.imread(str(clip.with_suffix(".jpg")))
        assert still is not None
        assert any(np.abs(still.astype(int) - f).mean() < 12 for f in shown)
        assert np.std(still) > 5
    readme = (folder / "README.md").read_text()
    assert all(f"](samples/{clip.name})" in readme for clip in clips)


def test_the_same_dataset_gives_the_same_bytes(exported: Exported, tmp_path: Path) -> None:
    first = exported.written(tmp_path / "one")
    again = exported.written(tmp_path / "one")
    second = exported.written(tmp_path / "two")
    assert first == again == second == sorted(second)
    for name in first:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_samples_are_taken_over_and_never_changed(exported: Exported, tmp_path: Path) -> None:
    first = exported.written(tmp_path / "one")
    before = {name: (tmp_path / "one" / name).read_bytes() for name in first}
    again = exported.written(
        tmp_path / "two", pictures=lambda episode: {}, earlier=tmp_path / "one"
    )  # fmt: skip
    assert again == first
    assert {name: (tmp_path / "two" / name).read_bytes() for name in first} == before
    (tmp_path / "two" / "README.md").unlink()
    os.link(tmp_path / "one" / "README.md", tmp_path / "two" / "README.md")
    exported.known_as(task="other").written(tmp_path / "two")
    assert "other" in (tmp_path / "two" / "README.md").read_text()
    inodes = [{(tmp_path / n / name).stat().st_ino for name in first} for n in ("one", "two")]
    assert not inodes[0] & inodes[1]
    assert {name: (tmp_path / "one" / name).read_bytes() for name in first} == before


def test_without_an_encoder_there_are_pictures(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise CannotDecode("PyAV is missing")

    monkeypatch.setattr(samples, "pyav", missing)
    files = exported.written(tmp_path / "c")
    assert sum(name.endswith(".jpg") for name in files) == 4
    assert not any(name.endswith(".mp4") for name in files)
    page = (tmp_path / "c" / "card.html").read_text()
    assert "<video" not in page and page.count("<img") == 4


def test_pictures_that_cannot_be_read_are_left_out(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(self: ChosenPictures, picked: object) -> None:
        raise DecodeError("damaged")

    monkeypatch.setattr(ChosenPictures, "bgr", damaged)
    files = exported.written(tmp_path / "c")
    assert sorted(name.split(".")[-3] for name in files if "samples" in name) == ["depth"] * 4
    assert {str(p.relative_to(tmp_path / "c")) for p in tmp_path.rglob("*") if p.is_file()} == set(
        files
    )


def test_at_most_six_samples_of_different_tasks(exported: Exported, tmp_path: Path) -> None:
    (shard,) = exported.shards
    episodes = tuple(
        replace(e, index=i, facts=replace(e.facts, id=f"e{i}", instruction=f"Do {i}."))
        for i in range(8) for e in shard.episodes[:1]
    )  # fmt: skip
    many = replace(exported, shards=[replace(shard, episodes=episodes)])
    names = [n for n in many.written(tmp_path / "c") if n.endswith(".mp4")]
    assert sorted(n.split(".")[0] for n in names) == [f"samples/e{i}" for i in range(6)]
    assert {n.split(".")[1] for n in names} == {"camera"}


# -- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as tab:
        yield tab


def show(browser: Browser, page: Path, width: int) -> None:
    browser.requests.clear()
    browser.errors.clear()
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=900, deviceScaleFactor=1, mobile=width < 600,
    )  # fmt: skip
    browser.call("Page.navigate", url=page.resolve().as_uri())
    browser.wait(f"location.pathname.endsWith('{page.name}') && document.readyState === 'complete'")


@in_browser
@pytest.mark.parametrize("width", [390, 800, 1200])
def test_the_page_opens_offline_and_is_not_too_wide(
    browser: Browser, folder: Path, width: int
) -> None:
    show(browser, folder / "card.html", width)
    assert browser.errors == []
    assert {url.split(":")[0] for url in browser.requests} <= {"file", "data"}
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask("document.querySelectorAll('svg').length") == 3


@in_browser
def test_samples_play_in_the_page(browser: Browser, folder: Path) -> None:
    show(browser, folder / "card.html", 1200)
    assert browser.ask("document.querySelectorAll('video').length") == 4
    browser.ask("document.querySelectorAll('video').forEach((v) => { v.muted = true; v.play(); })")
    browser.wait("[...document.querySelectorAll('video')].every((v) => v.currentTime > 0.1)")
    assert browser.errors == []
