"""Guess what the fields of an unknown message type mean, by their names and values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from robot_recorder.messages.definition import TEXTS, TIMES
from robot_recorder.offline.field_values import ReadField
from robot_recorder.offline.guess_data import read_data
from robot_recorder.offline.guess_imu import (
    add_orientations,
    read_angles,
    read_imus,
    read_orientations,
)
from robot_recorder.offline.guess_joints import (
    read_interfaces,
    read_joints,
    read_named_values,
)
from robot_recorder.offline.guess_names import unique_words
from robot_recorder.offline.guess_points import read_points
from robot_recorder.offline.guess_poses import read_poses, read_vectors
from robot_recorder.offline.guess_touch import read_touch
from robot_recorder.offline.guessed_stream import GuessedStream, by_parent

_NO_VALUE = {"reserve", "reserved", "crc", "version", "seq", "sequence", "checksum", "head", "sn",
             "stamp", "timestamp", "tick", "padding"}  # fmt: skip
_NO_UNIT = "plain numbers, whose unit is unknown: add 'unit' if they have one"
_MOST_NUMBERS = 64  # values of a stream of plain numbers
_ORDER = ("joint_state", "tactile", "pose", "poses", "imu", "wrench", "twist", "numbers")


def guess_meanings(
    fields: Sequence[ReadField], stamp: str = "", about: frozenset[str] = frozenset()
) -> list[GuessedStream]:
    """Return what the fields of a message type seem to be, the most telling first.

    Args:
        fields: of the type, with values.
        stamp: path of the field that is their time; empty: none.
        about: words of the names of topic and type.
    """
    fields = [f for f in fields if f.path != stamp]
    found: list[GuessedStream] = []
    used: set[str] = set()
    touch = partial(read_touch, about=about)
    spaces = (read_imus, read_poses, read_vectors, read_orientations, read_angles, read_points)
    for read in (*spaces, _joints, touch, _named, _grippers):
        left = [f for f in fields if not f.claims & used]
        for guess in read(left, fields):
            if not guess.paths & used:
                used |= guess.paths
                found.append(guess)
    add_orientations(found, fields)
    if not found:
        found = list(read_data(fields, about))
        found = found or list(_unsaid_joints(fields)) or _numbers(fields)
    return sorted(found, key=lambda guess: _ORDER.index(guess.meaning))


def _joints(fields: Sequence[ReadField], every: Sequence[ReadField]) -> Iterator[GuessedStream]:
    yield from read_interfaces(fields, by_parent(every))
    yield from read_joints(fields, by_parent(every))


def _named(fields: Sequence[ReadField], every: Sequence[ReadField]) -> Iterator[GuessedStream]:
    yield from read_named_values(fields, by_parent(every))


def _grippers(fields: Sequence[ReadField], every: Sequence[ReadField]) -> Iterator[GuessedStream]:
    """Yield the opening of a gripper beside a pose, which would be lost otherwise."""
    floats = {f.path for f in every if f.type in ("float32", "float64")}
    left = [f for f in fields if f.path in floats and not f.many and "[]" not in f.parent]
    grippers = [f for f in left if "gripper" in f.words and f.count == 1]
    if grippers and len(left) < len(floats):  # alone they are numbers among others
        paths = dict(zip(unique_words([f.path for f in grippers]), (f.path for f in grippers)))
        guess = GuessedStream("numbers", {"values": paths}, "gripper", paths=set(paths.values()))
        guess.remarks[""] = [_NO_UNIT]
        yield guess


def _unsaid_joints(fields: Sequence[ReadField]) -> Iterator[GuessedStream]:
    """Yield joints of a message that only says joint or command."""
    for guess in read_joints(fields, by_parent(fields), any_array=True):
        guess.remarks[""] = [f"{guess.map['position']} is taken for the positions of joints"]
        yield guess


def _numbers(fields: Sequence[ReadField]) -> list[GuessedStream]:
    """Return a stream of plain numbers, if there are only a few."""
    wanted = [f for f in fields if f.count and f.fixed and not (f.covers or "[]" in f.parent)]
    wanted = [f for f in wanted if f.type not in TEXTS and f.type not in TIMES]
    wanted = [f for f in wanted if not _NO_VALUE & set(f.words)]
    if not wanted or sum(f.count for f in wanted) > _MOST_NUMBERS:
        return []
    names = unique_words([f.path for f in wanted])
    paths = {name: f.path for name, f in zip(names, wanted)}
    guess = GuessedStream("numbers", {"values": paths}, paths=set(paths.values()))
    guess.remarks[""] = [_NO_UNIT]
    constant = all(len(f.values) and (f.values == f.values[:1]).all() for f in wanted)
    if constant and all(f.whole for f in wanted):
        # Modes and flags: a take is as good without them, but frames still have them.
        guess.required = False
        guess.remarks["required"] = ["they never changed: states of the device, it seems"]
    return [guess]
