"""Find arrays with three or six numbers for each foot or contact: neither joints nor taxels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from robot_recorder.offline.field_values import ReadField
from robot_recorder.offline.guessed_stream import GuessedStream

_POINTS = {"foot", "feet", "contact", "contacts", "ground", "grf"}
_FORCES = {"force", "forces", "wrench", "wrenches", "grf"}
_VALUES = {
    *_FORCES,
    "position",
    "positions",
    "pos",
    "velocity",
    "velocities",
    "vel",
    "speed",
    "speeds",
}
_MOST_NUMBERS = 60


def read_points(fields: Sequence[ReadField], every: Sequence[ReadField]) -> Iterator[GuessedStream]:
    """Yield wrenches of one or two contacts, and as plain numbers what feet have three of each.

    Args:
        fields: that are not read otherwise.
        every: all fields.
    """
    for one in fields:
        words = {*one.words}
        plain = one.many and not one.sort and one.type in ("float32", "float64")
        if not (plain and one.fixed and words & _POINTS and words & _VALUES) or one.in_array:
            continue
        if one.count in (6, 12) and words & _FORCES:
            yield from _wrenches(one)
        elif one.count % 3 == 0 and 3 < one.count <= _MOST_NUMBERS:
            guess = GuessedStream("numbers", {"values": {one.name: one.path}}, one.name)
            guess.paths = {one.path}
            guess.remarks[""] = [f"{one.count} numbers, perhaps x, y and z of each: name them"]
            yield guess


def _wrenches(one: ReadField) -> Iterator[GuessedStream]:
    for number in range(one.count // 6):
        whole = one.count == 6
        path = one.path if whole else f"{one.path}[{6 * number}:{6 * number + 6}]"
        guess = GuessedStream("wrench", {"wrench": path}, f"{one.name}_{number}")
        # Both read the field; the first claims it.
        guess.paths = {f"{one.path}#{number}", *({one.path} if not number else ())}
        guess.remarks["map"] = [f"three forces and three torques for each of {one.count // 6}?"]
        yield guess
