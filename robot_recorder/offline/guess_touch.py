"""Find tactile sensors in the fields of a message type."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from robot_recorder.messages.definition import PRIMITIVES
from robot_recorder.offline.field_values import VECTOR, ReadField, name_words
from robot_recorder.offline.guess_names import element_names, unique_words
from robot_recorder.offline.guessed_stream import (
    GuessedStream,
    by_parent,
    elements_of,
    suffix_of,
)

_TOUCH = {"pressure", "pressures", "press", "touch", "tactile", "taxel", "taxels", "tac", "force",
          "forces", "skin"}  # fmt: skip
_NOT_TOUCH = {"temperature", "temp", "lost", "reserve", "status", "torque", "count",
              "offset", "time", "id", "direction", "proximity", "capacity"}  # fmt: skip
OWN_UNIT = "the sensor's own unit; write Pa or N if it is one"


def read_touch(
    fields: Sequence[ReadField], every: Sequence[ReadField], about: frozenset[str] = frozenset()
) -> Iterator[GuessedStream]:
    """Yield the tactile sensors of a message type.

    Args:
        fields: that are not read otherwise.
        every: all fields, for names.
        about: words of the names of topic and type.
    """
    groups = by_parent(every)
    pads: list[ReadField] = []
    claimed: set[str] = set()
    for force in _all_forces(fields, groups):
        claimed |= force.paths
        yield force
    for parent, members in by_parent(fields).items():
        of_touch = _channels(parent, groups[parent], about)
        fitting = [m for m in members if m.path not in claimed and (m in of_touch or _is_touch(m))]
        if not parent.endswith("[]"):
            pads += [m for m in fitting if m.many]
        else:
            yield from _pads_of_elements(parent, fitting, groups, of_touch)
    if pads:
        yield _pads(pads)


def _channels(parent: str, members: Sequence[ReadField], about: frozenset[str]) -> list[ReadField]:
    """Return the only numbers of named channels where names around them say that it is touch."""
    numbers = [m for m in members if m.type in PRIMITIVES and m.type != "bool"]
    arrays = [m for m in numbers if m.many and m.count > 1]
    around = about | {*name_words(parent)}
    named = element_names(members) is not None and parent.count("[]") == 1
    return arrays if named and len(arrays) == len(numbers) == 1 and around & _TOUCH else []


def _all_forces(
    fields: Sequence[ReadField], groups: dict[str, list[ReadField]]
) -> Iterator[GuessedStream]:
    """Yield forces in x, y and z; of a sensor's raw counts and forces only the forces."""
    parents = by_parent(fields)
    seen: set[str] = set()
    for parent in sorted(parents, key=lambda p: all(m.whole for m in parents[p])):
        for force in _force_arrays(parent, parents[parent], groups):
            each = str(force.map.get("each", ""))
            if each not in seen:
                yield force
            seen |= {each} - {""}


def _pads_of_elements(
    parent: str,
    members: Sequence[ReadField],
    groups: dict[str, list[ReadField]],
    sure: Sequence[ReadField],
) -> Iterator[GuessedStream]:
    """Yield the pads of an array of messages: of each array, and of the single numbers together."""
    elements = elements_of(groups[parent])
    arrays = [
        m for m in members if m.many and (m in sure or not (elements and m.count == 3 * elements))
    ]
    for one in arrays:
        yield _pad_array(one, groups, len(arrays) > 1)
    single = [m for m in members if not m.many and not {"x", "y", "z"} & {*m.words}]
    if not single or arrays:
        return
    normal = [m for m in single if "normal" in m.words] or [
        m for m in single if _stem(m) == _stem(single[0])
    ]
    guess = _pad_array(normal[0], groups, False)
    if len(normal) > 1:
        guess.map = {"normal": [m.path for m in normal]}
        guess.paths = {m.path for m in normal}
        if elements and all(m.fixed for m in normal):
            guess.map |= {"rows": len(normal), "cols": elements}
    yield guess


def _stem(one: ReadField) -> tuple[str, ...]:
    return tuple(word for word in one.words if not word.isdigit())


def _is_touch(one: ReadField) -> bool:
    if one.sort or one.type not in PRIMITIVES or one.type == "bool" or one.count < 2:
        return False
    words = {*one.words, *name_words(one.parent.rpartition(".")[2])[-1:]}
    if one.many:
        words |= {*name_words(one.within.rpartition("/")[2])}
    return bool(_TOUCH & words) and not _NOT_TOUCH & set(one.words)


def _pads(pads: Sequence[ReadField]) -> GuessedStream:
    """Return the pads of a message that has an array for each."""
    guess = GuessedStream("tactile", {}, "touch", unit="raw", paths={p.path for p in pads})
    guess.remarks["unit"] = [OWN_UNIT]
    fixed = [p for p in pads if p.fixed]
    if len(pads) == 1:
        guess.map = {"normal": pads[0].path, **_shape(pads[0])}
    else:
        names = unique_words([p.path for p in pads])
        guess.map["pads"] = {n: {"normal": p.path, **_shape(p)} for n, p in zip(names, pads)}
    if any(_shape(p) for p in fixed):
        guess.remarks["map"] = ["shapes (rows, columns) are guessed from the number of taxels"]
    idle = [p.path for p in pads if len(p.values) and not p.values.any()]
    if idle:
        text = f"always 0 so far: {', '.join(idle)}; remove what is no sensor"
        guess.remarks.setdefault("map", []).append(text)
    return guess


def _shape(pad: ReadField) -> dict[str, Any]:
    found = guessed_shape(pad.count) if pad.fixed else None
    return {"shape": list(found)} if found else {}


def guessed_shape(count: int) -> tuple[int, int] | None:
    """Return rows and columns of a pad, as square as possible; None: it cannot be a rectangle."""
    columns = next((n for n in range(math.isqrt(count), 1, -1) if count % n == 0), 0)
    rows = count // columns if columns else 0
    return (rows, columns) if columns and rows <= 4 * columns else None


def _pad_array(one: ReadField, groups: dict[str, list[ReadField]], several: bool) -> GuessedStream:
    """Return the pads of an array of messages, with an array or a number each."""
    parent = one.parent
    suffix = suffix_of(parent, one.name if several else "")
    guess = GuessedStream("tactile", {}, suffix, unit="raw", paths={one.path})
    guess.remarks["unit"] = [OWN_UNIT]
    names = element_names(groups.get(parent, []))
    if names is not None and parent.count("[]") == 1 and one.many:
        guess.map = {"each": parent, "pad": names.name, "normal": one.name}
        return guess
    guess.map["normal"] = one.path
    elements = elements_of(groups.get(parent, [])) if one.many else 0
    if elements and one.fixed and one.count % elements == 0 and elements < one.count:
        guess.map |= {"rows": elements, "cols": one.count // elements}
        guess.remarks["map"] = [f"a row for each of the {elements} elements of {parent[:-2]}"]
    return guess


def _force_arrays(
    parent: str, members: Sequence[ReadField], groups: dict[str, list[ReadField]]
) -> Iterator[GuessedStream]:
    """Yield arrays of forces in x, y and z, one for each taxel; also those of several sensors."""
    for array, (x, y, z), claims in _triples(parent, members):
        outer = array.rpartition(".")[0]
        guess = GuessedStream("tactile", {}, suffix_of(outer) or "touch", unit="raw", paths=claims)
        guess.remarks["unit"] = [OWN_UNIT]
        inner = array
        if outer.endswith("[]") and outer.count("[]") == 1:
            inner = array.rpartition(".")[2]
            guess.map["each"] = outer
            names = element_names(groups.get(outer, []))
            if names is not None:
                guess.map["pad"] = names.name
        guess.map |= {"normal": f"{inner}.{z}", "shear": f"{inner}.{{{x},{y}}}"}
        guess.remarks["map"] = [f"{z} is taken for the pressure, {x} and {y} for the shear"]
        yield guess


def _triples(
    parent: str, members: Sequence[ReadField]
) -> Iterator[tuple[str, tuple[str, str, str], set[str]]]:
    """Yield arrays whose elements have forces in x, y and z: path, fields, paths of the fields."""
    where = set(name_words(parent.rpartition(".")[2]))
    for one in members:
        if one.sort != VECTOR or not one.count:
            continue
        if one.many and _TOUCH & set(one.words):
            yield f"{one.path}[]", ("x", "y", "z"), one.claims
        elif one.covers and one.in_array and {"f", "force", "forces"} & set(one.words):
            x, y, z = sorted((path.rpartition(".")[2] for path in one.covers), key=str.lower)
            yield parent, (x, y, z), one.claims
    scalars = {m.name: m.path for m in members if m.type in PRIMITIVES and not (m.many or m.sort)}
    if parent.endswith("[]") and {"x", "y", "z"} <= scalars.keys() and _TOUCH & where:
        yield parent, ("x", "y", "z"), {scalars[axis] for axis in "xyz"}
