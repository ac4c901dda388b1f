"""The places in which the simulated robot works, read from ``config/places``.

A place is a set of bodies made of simple shapes; docs/simulation.md explains the keys.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from robot_recorder.configuration.find import config_directory
from robot_recorder.configuration.yaml_source import YamlMap, did_you_mean
from robot_recorder.model.errors import ConfigError
from robot_recorder.sim.looks import CLUTTER

SHAPES = {"box": 3, "cylinder": 2, "tub": 3, "ball": 1}  # and how many sizes each has
LOOKS = ("wood", "steel")


@dataclass(frozen=True)
class PlaceShape:
    """A part of a body.

    Attributes:
        kind: ``box``; ``cylinder``, upright; ``tub``, a box that is open at the top; ``ball``.
        size_m: full lengths along x, y and z; diameter and height of a cylinder; the outer ones of a tub;
            diameter of a ball.
        at_m: middle of it, in the body's frame; of a tub: of its underside.
        wall_m: thickness of a tub's walls and floor.
        look: ``wood`` or ``steel``; empty: `rgba`.
        rgba: colour, each 0 to 1.
        touches: whether it touches anything.
        name: of its geometry in the model; empty: none.
    """

    kind: str
    size_m: tuple[float, ...]
    at_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    wall_m: float = 0.004
    look: str = ""
    rgba: tuple[float, float, float, float] = (0.8, 0.8, 0.8, 1.0)
    touches: bool = True
    name: str = ""


@dataclass(frozen=True)
class Hinge:
    """What turns a body about an axis through its origin.

    Attributes:
        axis: in the body's frame.
        range_rad: least and greatest angle; it starts at the least.
        friction_nm: what it takes to move it.
    """

    axis: tuple[float, float, float]
    range_rad: tuple[float, float]
    friction_nm: float = 0.02


@dataclass(frozen=True)
class Belt:
    """What makes a body a conveyor: its surface moves on and on, and carries what lies on it.

    Attributes:
        axis: along which it moves, in the body's frame.
        pitch_m: distance of its marks: moved by it, it looks as before.
    """

    axis: tuple[float, float, float]
    pitch_m: float


@dataclass(frozen=True)
class PlaceBody:
    """A piece of furniture, or an object.

    Attributes:
        name: of it.
        shapes: its parts.
        at: x, y, z in m and yaw in rad, in the world; of a free body: where it is until a task places it.
        free: whether it can be moved; else it is fixed, or turns on its `hinge`.
        kg: mass of a free body or of one on a hinge.
        friction: sliding friction of its surface; 0: nothing rubs on it but hands; None: what touches it
            decides.
        posed: whether it stands where it is put, whatever touches it: a task or a seed may put it elsewhere.
        belt: of a conveyor; a task says how fast it runs.
        on: name of the body that carries it, in whose frame `at` is; empty: the world.
    """

    name: str
    shapes: tuple[PlaceShape, ...]
    at: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    free: bool = False
    kg: float = 0.1
    hinge: Hinge | None = None
    friction: float | None = None
    posed: bool = False
    belt: Belt | None = None
    on: str = ""


@dataclass(frozen=True)
class Cloth:
    """A soft cloth: a grid of points with springs between them.

    Attributes:
        name: of it.
        size_m: along x and along y.
        points: how many along x and along y.
        at: x, y, z in m and yaw in rad of its middle, in the world, until a task lays it elsewhere.
        kg: mass.
        stiffness_n_m: of a spring between two neighbours along a thread.
        friction: on what it lies; between it and a hand an attempt's friction counts.
        rgba: colour of the side that is up, each 0 to 1.
        back_rgba: of the other side.
    """

    name: str
    size_m: tuple[float, ...]
    points: tuple[int, int]
    at: tuple[float, ...]
    kg: float
    stiffness_n_m: float
    friction: float
    rgba: tuple[float, ...]
    back_rgba: tuple[float, ...]


@dataclass(frozen=True)
class Workplace:
    """Where the robot works.

    Attributes:
        name: of the file.
        bodies: by name; those that only stand around are named ``clutter/...``.
        spots: x, y and z in m, in the world, where some of those stand in an attempt; at least as many.
        cloths: by name.
    """

    name: str
    bodies: dict[str, PlaceBody] = field(default_factory=dict)
    spots: tuple[tuple[float, ...], ...] = ()
    cloths: dict[str, Cloth] = field(default_factory=dict)


def place_file(name: str) -> Path:
    """Return the file of a place.

    Raises:
        ConfigError: there is no such place.
    """
    folder = config_directory() / "places"
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise ConfigError(f"unknown place '{name}'; {did_you_mean(name, known)}")
    return folder / f"{name}.yaml"


def load_place(name: str) -> Workplace:
    """Read a place.

    Raises:
        ConfigError: it does not exist or is invalid; names file, line, key and fix.
    """
    path = place_file(name)
    return parse_place(path.read_text(encoding="utf-8"), str(path))


def parse_place(text: str, source: str) -> Workplace:
    """Parse a place.

    Args:
        text: YAML.
        source: name of the file, for errors.

    Raises:
        ConfigError: the text is invalid; names file, line, key and fix.
    """
    top = YamlMap.parse(text, source)
    top.allow(("kinds", "bodies", "clutter", "cloths"))
    kinds = {name: entry for name, entry in top.map("kinds").items()} if "kinds" in top else {}
    entries = top.map("bodies")
    bodies = {name: _body(name, entry, kinds) for name, entry in entries.items()}
    for number, (name, entry) in enumerate(entries.items()):
        if bodies[name].on and bodies[name].on not in list(bodies)[:number]:
            entry.fail_at("on", f"'{bodies[name].on}' is no body that stands above in the file")
    clutter, spots = _clutter(top, kinds) if "clutter" in top else ({}, ())
    cloths = top.map("cloths").items() if "cloths" in top else ()
    return Workplace(
        Path(source).stem,
        {**bodies, **clutter},
        spots,
        {name: _cloth(name, entry) for name, entry in cloths},
    )


def _cloth(name: str, entry: YamlMap) -> Cloth:
    keys = ("size", "points", "at", "kg", "stiffness", "friction", "rgba", "back_rgba")
    entry.allow(keys)
    found = {key: entry.number(key, above=0) for key in ("kg", "stiffness", "friction")}
    lacking = [key for key in keys if key not in entry]
    if lacking:
        entry.fail(f"'{lacking[0]}' is missing; add it")
    x, y, z, yaw_deg = _numbers(entry, "at", 4)
    rows, columns = (int(count) for count in _numbers(entry, "points", 2))
    if min(rows, columns) < 3:
        entry.fail_at("points", "expected 3 or more along each side")
    return Cloth(
        name,
        _numbers(entry, "size", 2),
        (rows, columns),
        (x, y, z, math.radians(yaw_deg)),
        found["kg"] or 0.0,
        found["stiffness"] or 0.0,
        found["friction"] or 0.0,
        _numbers(entry, "rgba", 4),
        _numbers(entry, "back_rgba", 4),
    )


def _clutter(
    top: YamlMap, kinds: dict[str, YamlMap]
) -> tuple[dict[str, PlaceBody], tuple[tuple[float, ...], ...]]:
    entry = top.map("clutter")
    entry.allow(("spots", "bodies"))
    named = {f"{CLUTTER}{name}": one for name, one in entry.map("bodies").items()}
    found = {name: replace(_body(name, one, kinds), posed=True) for name, one in named.items()}
    spots = entry.value("spots")
    if not isinstance(spots, list) or len(spots) < len(found):
        entry.fail_at("spots", f"expected a list of {len(found)} points or more, one for each body")
    return found, tuple(_list(entry, "spots", spot, 3) for spot in spots)


def _body(name: str, entry: YamlMap, kinds: dict[str, YamlMap]) -> PlaceBody:
    keys = ("shapes", "at", "free", "kg", "hinge", "friction", "posed", "belt", "on")
    entry.allow(("kind", "rgba", *keys))
    if "kind" not in entry:
        return _of_kind(name, entry, PlaceBody(name, ()))
    kind = kinds[entry.choice("kind", kinds)]
    kind.allow(keys)
    body = _of_kind(name, entry, _of_kind(name, kind, PlaceBody(name, ())))
    if "rgba" in entry:  # of what has no colour of its own
        colour = _numbers(entry, "rgba", 4)
        plain = PlaceShape("box", ()).rgba
        shapes = tuple(replace(s, rgba=colour) if s.rgba == plain else s for s in body.shapes)
        body = replace(body, shapes=shapes)
    return body


def _of_kind(name: str, entry: YamlMap, body: PlaceBody) -> PlaceBody:
    found: dict[str, Any] = {}
    if "shapes" in entry:
        shapes = entry.value("shapes")
        if not isinstance(shapes, list):
            entry.fail_at("shapes", "expected a list of shapes")
        found["shapes"] = tuple(_shape(entry, one) for one in shapes)
    if "at" in entry:
        x, y, z, yaw_deg = _numbers(entry, "at", 4)
        found["at"] = (x, y, z, math.radians(yaw_deg))
    if "hinge" in entry:
        found["hinge"] = _hinge(entry.map("hinge"))
    if "belt" in entry:
        found["belt"] = _belt(entry.map("belt"))
    found["on"] = entry.text("on", body.on)
    found["free"] = entry.flag("free", body.free)
    found["kg"] = entry.number("kg", body.kg, above=0)
    found["friction"] = entry.number("friction", body.friction, most=4)
    if (found["friction"] or 0) < 0:
        entry.fail_at("friction", f"must not be less than 0, got {found['friction']}")
    found["posed"] = entry.flag("posed", body.posed)
    made = replace(body, **found)
    ways = [("is free", made.free), ("has a hinge", made.hinge), ("is posed", made.posed)]
    ways += [("has a belt", made.belt), ("is on a body", made.on and not made.hinge)]
    if sum(bool(way) for _, way in ways) > 1:
        entry.fail(f"{name} {' and '.join(said for said, way in ways if way)}; remove one")
    return made


def _hinge(entry: YamlMap) -> Hinge:
    entry.allow(("axis", "range_deg", "friction_nm"))
    low, high = (math.radians(degrees) for degrees in _numbers(entry, "range_deg", 2))
    friction_nm = entry.number("friction_nm", 0.02, most=5) or 0.0
    x, y, z = _numbers(entry, "axis", 3)
    return Hinge((x, y, z), (low, high), friction_nm)


def _belt(entry: YamlMap) -> Belt:
    entry.allow(("axis", "pitch_m"))
    x, y, z = _numbers(entry, "axis", 3)
    pitch_m = entry.number("pitch_m", above=0)
    if pitch_m is None:
        entry.fail("'pitch_m' is missing; add it")
    return Belt((x, y, z), pitch_m)


def _shape(entry: YamlMap, given: Any) -> PlaceShape:
    if not isinstance(given, dict):
        entry.fail_at("shapes", f"expected a mapping, got {given!r}")
    kinds = [kind for kind in SHAPES if kind in given]
    known = {"at", "wall", "look", "rgba", "touches", "name", *SHAPES}
    if len(kinds) != 1 or set(given) - known:
        entry.fail_at(
            "shapes",
            f"expected one of {', '.join(SHAPES)} and of {', '.join(sorted(known))}; got {given!r}",
        )
    kind = kinds[0]
    found: dict[str, Any] = {"size_m": _list(entry, "shapes", given[kind], SHAPES[kind])}
    if min(found["size_m"]) <= 0:
        entry.fail_at("shapes", f"sizes must be greater than 0, got {given!r}")
    if "at" in given:
        found["at_m"] = _list(entry, "shapes", given["at"], 3)
    if "rgba" in given:
        found["rgba"] = _list(entry, "shapes", given["rgba"], 4)
    if "wall" in given:
        (found["wall_m"],) = _list(entry, "shapes", [given["wall"]], 1)
    found["look"], found["name"] = str(given.get("look", "")), str(given.get("name", ""))
    if found["look"] not in ("", *LOOKS):
        entry.fail_at("shapes", f"'look' must be one of {', '.join(LOOKS)}, got {given['look']!r}")
    return PlaceShape(kind, touches=given.get("touches", True) is True, **found)


def _numbers(entry: YamlMap, key: str, count: int) -> tuple[float, ...]:
    return _list(entry, key, entry.value(key), count)


def _list(entry: YamlMap, key: str, given: Any, count: int) -> tuple[float, ...]:
    right = isinstance(given, list) and len(given) == count
    if not right or not all(type(v) in (int, float) and math.isfinite(v) for v in given):
        entry.fail_at(key, f"expected a list of {count} numbers, got {given!r}")
    return tuple(float(v) for v in given)
