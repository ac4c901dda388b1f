"""Find joints in the fields of a message type: positions, velocities and efforts that belong together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from robot_recorder.messages.definition import PRIMITIVES, TEXTS
from robot_recorder.offline.field_values import ReadField
from robot_recorder.offline.guess_names import (
    element_names,
    group_names,
    is_number,
    numbers_as_names,
    sibling_names,
)
from robot_recorder.offline.guessed_stream import GuessedStream, suffix_of

# The most telling first.
_WORDS: dict[str, tuple[str, ...]] = {
    "position": ("q", "position", "positions", "pos", "jpos", "angle", "angles",
                 "actuation", "actuations"),
    "velocity": ("dq", "qd", "velocity", "velocities", "vel", "speed", "speeds", "v", "jvel"),
    "effort": ("tau", "effort", "efforts", "torque", "torques", "tauest", "current", "currents",
               "cur", "force", "load"),
}  # fmt: skip
_EXTRA = {"act", "actual", "cur", "current", "present", "meas", "measured", "fb", "feedback", "state",
          "est", "estimated", "msr"}  # fmt: skip
_CURRENTS = {"current", "currents", "cur"}
_OTHER = {"raw", "limit", "lower", "upper", "min", "max", "temperature", "error", "err", "offset",
          "kp", "kd", "acc", "ddq", "mode", "status", "variance", "covariance", "var", "std", "end",
          "ee", "eef", "tcp", "cartesian", "tool", "flange", "pose", "reset", "delta"}  # fmt: skip
_NO_ANGLE = {"score", "confidence", "probability", "weight", "temp", "voltage", "percentage",
             "time", "stamp", "timestamp"}  # fmt: skip
_WANTED = {
    "desired",
    "commanded",
    "des",
    "dot",
    "d",
    "trajectory",
    "traj",
}  # wanted values beside measured ones
_UNSAID = {"joint", "joints", "cmd", "command", "commands", "target", "targets", "goal", "motor",
           "motors"}  # fmt: skip
_MOST_JOINTS = 200
_Parts = dict[tuple[str, str], dict[str, ReadField]]  # by parent and stem, then by role
_MOST_REAL = 1e6  # a larger position stands for something else
_MOST_ANGLE = 2 * math.pi * 1.05


def read_joints(
    fields: Sequence[ReadField],
    every: Mapping[str, Sequence[ReadField]],
    any_array: bool = False,
) -> list[GuessedStream]:
    """Return the groups of joints.

    Args:
        fields: that are not read otherwise.
        every: all fields by the message that has them, for names.
        any_array: whether arrays that are only called joint or command are positions, too.
    """
    parts: _Parts = {}
    for one in fields:
        array = one.many and not one.whole and not one.sort and one.count > 1
        unsaid = any_array and array and {*one.words} <= _UNSAID
        for role, stem, rank in [("position", "", 99)] if unsaid else _roles(one):
            known = parts.setdefault((one.parent, stem), {})
            if role not in known or rank < _rank(known[role], role):
                known[role] = one
    _take_in(parts)
    found = []
    single: dict[str, list[dict[str, ReadField]]] = {}
    for (parent, stem), roles in parts.items():
        position = roles.get("position")
        if position is None or not 0 < position.count <= _MOST_JOINTS:
            continue
        if not position.in_array and not position.many:
            # One message for each joint, such as ``hip.q`` and ``knee.q``.
            if "." in position.path and "[]" not in parent and len(roles) > 1:
                single.setdefault(parent.rpartition(".")[0], []).append(roles)
        elif any_array or not _is_no_joint(parent, stem, parts):
            found.append(_group(parent, stem, roles, every.get(parent, ())))
    found += [_joined(parent, groups) for parent, groups in single.items() if len(groups) > 1]
    _name_apart(found)
    return found


def _is_no_joint(parent: str, stem: str, parts: _Parts) -> bool:
    """Return whether positions are wanted ones beside measured ones, or one or two lonely numbers."""
    roles = parts[parent, stem]
    position, words = roles["position"], {*stem.split("_")}
    beside = [s for (where, s), r in parts.items() if where == parent and "position" in r]
    wanted = bool(_WANTED & words) and any(not _WANTED & {*s.split("_")} for s in beside)
    lonely = len(roles) == 1 and position.count < 3 and not position.in_array
    return wanted or (lonely and not words & {"joint", "hand", "gripper", "finger"})


def _take_in(parts: _Parts) -> None:
    """Add velocities and efforts with other names to the only positions beside them."""
    for (parent, _), roles in list(parts.items()):
        beside = [
            p for (where, stem), p in parts.items()
            if where == parent and "position" in p and not _WANTED & {*stem.split("_")}
        ]  # fmt: skip
        if "position" in roles or len(beside) != 1:
            continue
        position = beside[0]["position"]
        for role, one in roles.items():
            same = one.count == position.count and one.many == position.many
            if same and (one.many or one.in_array) and not _WANTED & set(one.words):
                beside[0].setdefault(role, one)


def _roles(one: ReadField) -> list[tuple[str, str, int]]:
    """Return what a field may be, the other words of its name, and how telling it is."""
    if one.sort or one.type not in PRIMITIVES or one.type == "bool" or _OTHER & set(one.words):
        return []
    if not one.count or one.path.count("[]") > 1 or is_number(one):
        return []
    found = []
    for role in _WORDS:
        if (rank := _rank(one, role)) < len(_WORDS[role]):
            word = _WORDS[role][rank]
            stem = "_".join(w for w in one.words if w != word and w not in _EXTRA)
            found.append((role, stem, rank))
            break
    return found


def _rank(one: ReadField, role: str) -> int:
    """Return how telling a name is for a role: small numbers are better; the last: not at all."""
    words = set(one.words)
    others = [w for other in _WORDS if other != role for w in _WORDS[other] if w not in _CURRENTS]
    if words & set(others):
        return len(_WORDS[role])
    return next((n for n, word in enumerate(_WORDS[role]) if word in words), len(_WORDS[role]))


def read_named_values(
    fields: Sequence[ReadField], every: Mapping[str, Sequence[ReadField]]
) -> list[GuessedStream]:
    """Return arrays whose elements are a text that names them and one number.

    Args:
        fields: that are not read otherwise.
        every: all fields by the message that has them.
    """
    found = []
    for one in fields:
        members = every.get(one.parent, ())
        names = element_names(members)
        floats = [m for m in members if m.type in ("float32", "float64")]
        more = any(parent.startswith(f"{one.parent}.") for parent in every)
        if floats != [one] or one.many or more or one.path.count("[]") != 1 or names is None:
            continue
        value = 0 < one.count <= _MOST_JOINTS and not {*one.words} & (_OTHER | _NO_ANGLE)
        if names.type in TEXTS and value:
            suffix = suffix_of(one.parent)
            group = GuessedStream(
                "joint_state", {"names": names.path, "position": one.path}, suffix
            )
            group.paths, group.named = {one.path}, names.path
            group.unit, remark = _unit(one)
            group.remarks = {"unit": [remark]} if remark else {}
            text = f"named values are taken for joints: if {suffix} are none, map them as: numbers"
            group.remarks[""] = [text]
            found.append(group)
    return found


def read_interfaces(
    fields: Sequence[ReadField], every: Mapping[str, Sequence[ReadField]]
) -> list[GuessedStream]:
    """Return joints whose elements list texts such as position, and beside them the values.

    Args:
        fields: that are not read otherwise.
        every: all fields by the message that has them.
    """
    found = []
    for one in fields:
        if not (one.many and one.parts and one.type in ("float32", "float64")):
            continue
        siblings = [m for m in every.get(one.parent, ()) if m.many and m.type in TEXTS]
        names = sibling_names(every.get(one.parent[:-2].rpartition(".")[0], ()), len(one.parts))
        if len(siblings) != 1 or siblings[0].parts != one.parts or names is None:
            continue
        found += _interface(one, siblings[0], names.path)
    return found


def _interface(one: ReadField, said: ReadField, names: str) -> list[GuessedStream]:
    """Return the joints of the elements that say position; others may be sensors."""
    ends = np.cumsum(said.parts).tolist()
    texts = [set(said.texts[end - part : end]) for end, part in zip(ends, said.parts)]
    joints = [n for n, words in enumerate(texts) if "position" in words]
    # A role counts if every joint has it: a value less would give those that follow a wrong name.
    roles = [role for role in _WORDS if all(role in texts[n] for n in joints)]
    if not joints:
        return []
    index = "" if len(joints) == len(texts) else _ranges(joints)
    group = GuessedStream(
        "joint_state", {"names": f"{names}[{index}]" if index else names}, "joints"
    )
    group.paths, group.named = {one.path}, names
    for role in roles:
        head, _, tail = one.path.rpartition("[]")
        group.map[role] = f"{head}[{index}]{tail}{{{said.name}={role}}}"
    return [group]


def _group(
    parent: str, stem: str, roles: Mapping[str, ReadField], siblings: Sequence[ReadField]
) -> GuessedStream:
    position = roles["position"]
    group = GuessedStream("joint_state", {}, suffix_of(parent, stem) or "joints")
    count = position.count
    used = {r: f for r, f in roles.items() if f.count == count and f.many == position.many}
    group.paths = {f.path for f in used.values()}
    names = element_names(siblings) if position.in_array and not position.many else (
        sibling_names(siblings, count))  # fmt: skip
    if names is not None:
        group.map["names"] = group.named = names.path
        if numbers_as_names(names):
            group.map["rename"] = {text: f"joint_{text}" for text in names.texts}
            group.remarks["map.rename"] = ["messages number the joints: give each number a name"]
    elif position.fixed:
        _name(group, used, siblings, parent or position.name)
    for role, one in used.items():
        group.map[role] = _indexed(one, group.index)
        if role == "effort" and _CURRENTS & set(one.words):
            text = f"{one.name} may be a current in A: then leave it out, effort is in N m"
            group.remarks["map.effort"] = [text]
    group.unit, remark = _unit(position)
    if remark:
        group.remarks["unit"] = [remark]
    return group


def _name(
    group: GuessedStream, used: Mapping[str, ReadField], siblings: Sequence[ReadField], where: str
) -> None:
    """Name joints after the groups that they are in, or else number them."""
    position = used["position"]
    names, path = group_names(siblings, position.parts)
    if position.count == len(names):
        group.map["names"], group.named = names, path
        group.remarks["map.names"] = [f"by {path}, numbered in each: replace them by their names"]
    else:
        _number(group, used, position.count, where)


def _number(group: GuessedStream, used: Mapping[str, ReadField], count: int, where: str) -> None:
    """Give joints numbers as names, except those that are not in use."""
    group.made_up = True
    kept = _in_use(used, count)
    group.map["names"] = [f"joint_{n}" for n in kept]
    group.remarks["map.names"] = [
        "messages name no joints: replace these by the names of the joints, in this order"
    ]
    if len(kept) < count:
        group.index = _ranges(kept)
        left_out = _ranges([n for n in range(count) if n not in kept])
        text = f"elements {left_out} of {where.replace('[]', '')} are {_idle(used)} and left out"
        group.remarks["map.names"].append(text)
    if used["position"].in_array:
        group.elements = count


def _in_use(used: Mapping[str, ReadField], count: int) -> list[int]:
    """Return which elements are in use: those that are ever anything but 0.

    A joint may rest at 0, but then it has a velocity or an effort that is not exactly 0.
    """
    moved = np.full(count, len(used) < 2)
    for one in used.values():
        if len(one.values):
            moved |= (np.nan_to_num(one.values, nan=1.0) != 0).any(axis=0)
    moved[_last_real(used["position"]) :] = False
    return np.flatnonzero(moved).tolist() if moved.any() else list(range(count))


def _last_real(position: ReadField) -> int:
    """Return how many elements are left without those at the end that only say: do not control."""
    real = ~is_sentinel(position.values).all(axis=0) if len(position.values) else np.ones(0)
    return int(np.flatnonzero(real).max()) + 1 if real.any() else position.count


def _idle(used: Mapping[str, ReadField]) -> str:
    """Return what elements that are not in use say."""
    return "always 0" if _last_real(used["position"]) == used["position"].count else "not in use"


def is_sentinel(values: np.ndarray) -> np.ndarray:
    """Return which values are too large to be one, such as those for: do not control."""
    with np.errstate(all="ignore"):
        found: np.ndarray = np.abs(values) > _MOST_REAL
    return found


def _ranges(numbers: Sequence[int]) -> str:
    """Return numbers as the index of a path, such as ``0:13, 15``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][1] == number:
            parts[-1][1] = number + 1
        else:
            parts.append([number, number + 1])
    return ", ".join(f"{a}:{b}" if b > a + 1 else str(a) for a, b in parts)


def _indexed(one: ReadField, index: str) -> str:
    """Return the path of some elements."""
    if not index:
        return one.path
    if one.in_array and not one.many:
        head, _, tail = one.path.rpartition("[]")
        return f"{head}[{index}]{tail}"
    return f"{one.path}[{index}]"


def _unit(position: ReadField) -> tuple[str, str]:
    """Return the unit of positions, empty: rad; and how that is known."""
    words = {*position.words}
    if words & {"deg", "degree", "degrees"}:
        return "deg", "by the name of the field"
    return unit_of_angles(position.values, position.whole)


def unit_of_angles(values: np.ndarray, whole: bool = False) -> tuple[str, str]:
    """Return the suspected unit of joint positions, empty: rad; and how that is known.

    Args:
        values: positions, any shape.
        whole: whether they are whole numbers by type.
    """
    with np.errstate(all="ignore"):
        real = values[np.isfinite(values) & (whole | ~is_sentinel(values))]
    most = float(np.abs(real).max()) if real.size else 0.0
    if whole:
        return "raw", f"whole numbers up to {most:g}: write percent, or give unit and scale"
    if most <= _MOST_ANGLE:
        return "", ""
    least = float(real.min())
    if least >= -0.05 * most and most <= 130 and values.shape[-1:] in ((1,), (2,)):
        return "raw", f"values from {least:.4g} to {most:.4g}: write percent, mm or deg"
    if most <= 360:
        return (
            "deg",
            f"suspected: values reach {most:.4g}, too much for rad; remove it if they are rad",
        )
    return "raw", f"values reach {most:.4g}, neither rad nor deg: give unit and scale"


def _joined(parent: str, groups: Sequence[Mapping[str, ReadField]]) -> GuessedStream:
    """Return the joints of several messages, named after the fields that have them."""
    roles = [r for r in _WORDS if all(r in g and g[r].count == 1 for g in groups)]
    names = [g["position"].parent.rpartition(".")[2] for g in groups]
    group = GuessedStream("joint_state", {"names": names}, parent.replace(".", "_") or "joints")
    for role in roles:
        group.map[role] = [g[role].path for g in groups]
        group.paths |= {g[role].path for g in groups}
    units = {_unit(g["position"]) for g in groups}
    group.unit, remark = max(units, key=lambda unit: unit[0])
    if remark:
        group.remarks["unit"] = [remark]
    return group


def _name_apart(groups: Sequence[GuessedStream]) -> None:
    """Give groups unlike suffixes, and their joints unlike names."""
    seen: set[str] = set()
    unnamed = [g for g in groups if g.made_up]
    for group in unnamed if len(unnamed) > 1 else ():
        group.map["names"] = [n.replace("joint", group.suffix, 1) for n in group.map["names"]]
    for group in groups:
        while group.suffix in seen:
            group.suffix += "_"
        seen.add(group.suffix)
