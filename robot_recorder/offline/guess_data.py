"""Guess what plain numbers are whose field says nothing, by the name of their topic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from robot_recorder.offline.field_values import ReadField
from robot_recorder.offline.guess_joints import unit_of_angles
from robot_recorder.offline.guess_touch import OWN_UNIT, guessed_shape
from robot_recorder.offline.guessed_stream import GuessedStream

_SAY_NOTHING = {"data", "value", "values", "array"}
# The first that fits: in current_position, current is no current.
_WORDS: tuple[tuple[str, set[str]], ...] = (
    ("touch", {"touch", "tactile", "taxel", "taxels", "pressure", "skin"}),
    ("position", {"position", "positions", "pos", "angle", "angles"}),
    ("velocity", {"velocity", "velocities", "vel", "speed", "speeds"}),
    ("effort", {"effort", "efforts", "torque", "torques", "current", "currents"}),
)
_CURRENTS = {"current", "currents"}
_NO_JOINTS = {"tcp", "ee", "eef", "end", "cartesian", "tool", "flange", "foot", "feet", "base",
              "object", "com", "pose", "odom", "body"}  # fmt: skip
_MOST_JOINTS = 64


def read_data(fields: Sequence[ReadField], about: frozenset[str]) -> Iterator[GuessedStream]:
    """Yield joints or taxels: the only array of a message, if its topic says what it has.

    Args:
        fields: of the message.
        about: words of the names of topic and type.
    """
    arrays = [f for f in fields if f.many and not f.parent and f.type in ("float32", "float64")]
    said = next((what for what, words in _WORDS if words & about), "")
    if len(arrays) != 1 or arrays[0].count < 2 or not {*arrays[0].words} <= _SAY_NOTHING:
        return
    if said == "touch":
        yield _touch(arrays[0])
    elif said and not about & _NO_JOINTS and arrays[0].count <= _MOST_JOINTS:
        if said != "effort" or not (_CURRENTS & about and {"state", "states"} & about):
            yield _joints(arrays[0], said, about)


def _touch(one: ReadField) -> GuessedStream:
    guess = GuessedStream("tactile", {"normal": one.path}, "touch", unit="raw", paths={one.path})
    shape = guessed_shape(one.count) if one.fixed else None
    if shape:
        guess.map["shape"] = list(shape)
        guess.remarks["map"] = ["shapes (rows, columns) are guessed from the number of taxels"]
    guess.remarks["unit"] = [OWN_UNIT]
    guess.remarks[""] = [f"the topic says touch, so {one.name} is taken for taxels"]
    return guess


def _joints(one: ReadField, said: str, about: frozenset[str]) -> GuessedStream:
    guess = GuessedStream("joint_state", {}, "joints", paths={one.path}, made_up=one.fixed)
    if one.fixed:
        guess.map["names"] = [f"joint_{n}" for n in range(one.count)]
        guess.remarks["map.names"] = [
            "messages name no joints: replace these by the names of the joints, in this order"
        ]
    guess.map[said] = one.path
    guess.remarks[""] = [
        f"by its topic, {one.name} is the {said} of joints: if it is not, map it as: numbers"
    ]
    if said == "position":
        guess.unit, remark = unit_of_angles(one.values)
        guess.remarks["unit"] = [remark] if remark else []
    elif said == "effort" and _CURRENTS & about:
        guess.remarks["map.effort"] = ["may be a current in A: then leave it out, effort is in N m"]
    return guess
