"""Defects that real robots have, planted in a take, and the checks that must name them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from robot_recorder.model.check_result import Level
from robot_recorder.quality.verdict import QualityReport
from support.robot_takes import Part, Take, Topic

_FROM_S, _TO_S = 3.0, 8.0  # of what lasts


@dataclass(frozen=True)
class Defect:
    """A defect of one stream.

    Attributes:
        name: for people.
        stream: the stream that has it.
        checks: checks of which at least one must name the stream.
        said: or what the report must say of it instead.
        plant: puts it into a take.
        alone: whether it hides other defects of the take.
    """

    name: str
    stream: str
    checks: tuple[str, ...]
    plant: Callable[[Take], None]
    alone: bool = False
    said: str = ""

    def found(self, report: QualityReport) -> bool:
        """Return whether a report names it."""
        named = any(
            f.check in self.checks and f.stream == self.stream and f.level > Level.PASS
            for f in report.findings
        )
        return named or any(
            self.said in sentence
            for sentence in report.broken
            if self.said and self.stream in sentence
        )


def defects(take: Take) -> Iterator[Defect]:
    """Yield the defects that apply to a take: those of each kind of its streams, once."""
    done: set[str] = set()
    for part in take.parts:
        if part.kind not in done and part.kind in _OF_KIND:
            done.add(part.kind)
            for name, checks, plant, alone in _OF_KIND[part.kind]:
                if name in _NEED_COMMAND and not part.followed:
                    continue
                yield Defect(
                    f"{part.stream}: {name}", part.stream, checks, partial(plant, part=part),
                    alone, "cannot be angles" if plant is in_degrees else "",
                )  # fmt: skip


def _topic(take: Take, part: Part) -> Topic:
    return take.topics[part.topic]


def _lasting(topic: Topic, to_s: float = _TO_S) -> np.ndarray:
    return np.asarray((topic.times > _FROM_S) & (topic.times < to_s))


def _first(topic: Topic, part: Part) -> np.ndarray:
    """Return the main column of a stream as a table that can be changed."""
    values = np.array(topic.columns[part.paths[0]], dtype=np.float64)
    topic.columns[part.paths[0]] = values
    return values.reshape(len(values), -1)


def not_a_number(take: Take, part: Part) -> None:
    """One value is NaN for three messages."""
    topic = _topic(take, part)
    middle = len(topic.times) // 2
    table = _first(topic, part)
    column = int(np.ptp(table, axis=0).argmax()) if part.kind == "command" else 0
    table[middle : middle + 3, column] = np.nan


def jumps(take: Take, part: Part) -> None:
    """The second joint jumps by 3 rad for one message, every second."""
    topic = _topic(take, part)
    table = _first(topic, part)
    rows = np.searchsorted(topic.times, np.arange(2.0, take.seconds - 1))
    table[rows, min(1, table.shape[1] - 1)] += 3.0


def stopped(take: Take, part: Part) -> None:
    """All motors stand for 5 s while they are commanded; encoders still have noise."""
    topic = _topic(take, part)
    rows = np.flatnonzero(_lasting(topic))
    table = _first(topic, part)
    table[rows] = table[rows[0]] + take.rng.normal(0, 1e-4, (len(rows), table.shape[1]))


def one_stuck(take: Take, part: Part) -> None:
    """One joint repeats its reading for 5 s while it is commanded."""
    topic = _topic(take, part)
    rows = np.flatnonzero(_lasting(topic))
    table = _first(topic, part)
    column = int(np.ptp(table, axis=0).argmax())  # one that is commanded
    table[rows, column] = table[rows[0], column]


def in_degrees(take: Take, part: Part) -> None:
    """Positions are sent in degrees although the profile says rad."""
    _first(_topic(take, part), part)[:] *= 180 / np.pi


def frozen(take: Take, part: Part) -> None:
    """All numbers of the topic are repeated for 5 s, with new stamps."""
    topic = _topic(take, part)
    rows = np.flatnonzero(_lasting(topic))
    for path in topic.columns:
        values = np.array(topic.columns[path])
        values[rows] = values[rows[0]]
        topic.columns[path] = values


def silent(take: Take, part: Part) -> None:
    """Nothing is sent for 1 s."""
    topic = _topic(take, part)
    topic.keep(~_lasting(topic, _FROM_S + 1.0))


def lossy(take: Take, part: Part) -> None:
    """Four messages of ten are lost."""
    topic = _topic(take, part)
    topic.keep(take.rng.random(len(topic.times)) > 0.4)


def dead_taxels(take: Take, part: Part) -> None:
    """Three taxels stay at zero."""
    _first(_topic(take, part), part)[:, [0, 1, 2]] = 0


def stuck_taxels(take: Take, part: Part) -> None:
    """Three taxels stay at one reading."""
    table = _first(_topic(take, part), part)
    table[:, [0, 1, 2]] = table[0, [0, 1, 2]]


def saturated_taxels(take: Take, part: Part) -> None:
    """Readings stop well below the largest; some pads read less when they are pressed."""
    topic = _topic(take, part)
    table = _first(topic, part)
    pressed = take.press(topic.times) > 0.5
    sign = np.sign(table[pressed].mean() - table[~pressed].mean())
    limit = np.quantile(sign * table[pressed], 0.9)
    table[:] = sign * np.minimum(sign * table, np.round(limit, 1))


def clipped(take: Take, part: Part) -> None:
    """Forces stop at 12 N."""
    topic = _topic(take, part)
    for path in part.paths[:3]:
        topic.columns[path] = np.clip(topic.columns[path], -12.0, 12.0)


def biased(take: Take, part: Part) -> None:
    """The sensor was not zeroed: 15 N at rest."""
    topic = _topic(take, part)
    topic.columns[part.paths[0]] = topic.columns[part.paths[0]] + 15.0


def spiky(take: Take, part: Part) -> None:
    """Ten single readings are off by 90 N."""
    topic = _topic(take, part)
    force = np.array(topic.columns[part.paths[2]])
    force[take.rng.choice(len(force), 10, replace=False)] += 90.0
    topic.columns[part.paths[2]] = force


def camera_frozen(take: Take, part: Part) -> None:
    """The camera repeats one picture for 6 s."""
    topic = _topic(take, part)
    rows = np.flatnonzero(_lasting(topic, _FROM_S + 6.0))
    if topic.blobs is None:
        frozen(take, part)
    else:
        for row in rows:
            topic.blobs[1][row] = topic.blobs[1][rows[0]]


def camera_black(take: Take, part: Part) -> None:
    """The camera's lens is covered for 5 s."""
    import cv2

    topic = _topic(take, part)
    rows = np.flatnonzero(_lasting(topic))
    if topic.blobs is None:
        data = np.array(topic.columns["data"])
        data[rows] = np.random.default_rng(2).integers(0, 4, data[rows].shape)
        topic.columns["data"] = data
        return
    rng = np.random.default_rng(2)
    for row in rows:
        dark = rng.integers(0, 4, (96, 128, 3), dtype=np.uint8)
        topic.blobs[1][row] = cv2.imencode(".jpg", dark)[1].tobytes()


def camera_cut(take: Take, part: Part) -> None:
    """Half of every picture's bytes are missing for 5 s."""
    topic = _topic(take, part)
    if topic.blobs is not None:
        for row in np.flatnonzero(_lasting(topic)):
            topic.blobs[1][row] = topic.blobs[1][row][: len(topic.blobs[1][row]) // 2]


def occluded(take: Take, part: Part) -> None:
    """One body is not seen for 5 s; nothing else says so."""
    topic = _topic(take, part)
    if topic.there is not None:
        there = topic.there.copy()
        there[_lasting(topic), 1] = False
        topic.there = there


_Planted = tuple[str, tuple[str, ...], Callable[..., None], bool]
_TIMING: list[_Planted] = [
    ("silent for 1 s", ("gap",), silent, True),
    ("four messages of ten lost", ("rate", "losses"), lossy, True),
]
_OF_KIND: dict[str, list[_Planted]] = {
    "joints": [
        ("NaN", ("not_a_number",), not_a_number, False),
        ("jumps of 3 rad", ("joint_jump",), jumps, False),
        ("motors stopped", ("joint_frozen", "tracking_error", "frozen"), stopped, True),
        ("one joint stuck", ("joint_frozen",), one_stuck, True),
        ("frozen", ("frozen", "joint_frozen"), frozen, True),
        ("degrees instead of rad", ("joint_jump", "tracking_error"), in_degrees, True),
        *_TIMING,
    ],
    "touch": [
        ("dead taxels", ("taxels_dead",), dead_taxels, False),
        ("stuck taxels", ("taxels_stuck",), stuck_taxels, True),
        ("saturated taxels", ("taxels_saturated",), saturated_taxels, True),
        ("frozen", ("frozen",), frozen, True),
        *_TIMING,
    ],
    "wrench": [
        ("clipped", ("wrench_clipping",), clipped, False),
        ("not zeroed", ("wrench_bias",), biased, True),
        ("spikes", ("wrench_spikes",), spiky, True),
        ("NaN", ("not_a_number",), not_a_number, True),
        ("frozen", ("frozen",), frozen, True),
        *_TIMING,
    ],
    "camera": [
        ("frozen for 6 s", ("camera_frozen",), camera_frozen, False),
        ("black", ("camera_black",), camera_black, True),
        *_TIMING,
    ],
    "poses": [
        ("NaN", ("not_a_number",), not_a_number, False),
        *_TIMING,
    ],
    "imu": [
        ("NaN", ("not_a_number",), not_a_number, False),
        ("frozen", ("frozen",), frozen, True),
        *_TIMING,
    ],
    "numbers": [("silent for 1 s", ("gap",), silent, True)],
    "command": [("NaN", ("not_a_number",), not_a_number, False)],
    "raw": [
        ("frozen", ("frozen", "joint_frozen"), frozen, True),
        # Without angles only the jump is seen when it comes free.
        ("one joint stuck", ("joint_frozen", "joint_jump"), one_stuck, True),
        *_TIMING,
    ],
    "gripper": [("NaN", ("not_a_number",), not_a_number, False), *_TIMING],
    "bodies": [
        ("NaN", ("not_a_number",), not_a_number, False),
        ("one body occluded for 5 s", ("skew", "gap", "not_a_number"), occluded, True),
        *_TIMING,
    ],
}
_NEED_COMMAND = ("motors stopped", "one joint stuck")
