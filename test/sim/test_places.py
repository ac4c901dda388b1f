"""The places of the simulated robot are data, and mistakes in them are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_recorder.model.errors import ConfigError
from robot_recorder.sim.model import PLACES, build_model
from robot_recorder.sim.places import load_place, parse_place
from robot_recorder.sim.tasks import TASKS, draw, tasks_of

GOOD = """
kinds:
  part: {free: true, kg: 0.1, shapes: [{cylinder: [0.05, 0.06]}, {box: [0.01, 0.01, 0.01], rgba: [0, 0, 0, 1]}]}
bodies:
  table: {shapes: [{name: top, box: [1, 1, 0.04], at: [0, 0, 0.74], look: wood}]}
  bin: {at: [0.3, 0.1, 0.76, 90], shapes: [{tub: [0.2, 0.1, 0.05], wall: 0.01}]}
  lid: {at: [0, 0, 1, 0], kg: 0.2, hinge: {axis: [0, 1, 0], range_deg: [0, 90]}, shapes: [{box: [1, 1, 0.1]}]}
  red: {kind: part, rgba: [1, 0, 0, 1], friction: 0.4}
clutter:
  spots: [[0.5, 0.1, 0.76], [0.5, -0.1, 0.76]]
  bodies:
    mug: {shapes: [{cylinder: [0.07, 0.09]}]}
"""


def test_a_place_is_read() -> None:
    bodies = parse_place(GOOD, "good.yaml").bodies
    assert [shape.rgba for shape in bodies["red"].shapes] == [(1, 0, 0, 1), (0, 0, 0, 1)]
    assert bodies["red"].free and bodies["red"].friction == 0.4
    assert bodies["bin"].at[3] == pytest.approx(1.5708, abs=1e-4)
    assert bodies["clutter/mug"].posed and len(parse_place(GOOD, "good.yaml").spots) == 2
    hinge = bodies["lid"].hinge
    assert hinge is not None and hinge.range_rad[1] == pytest.approx(1.5708, abs=1e-4)


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("cylinder: [0.05, 0.06]", "cylinder: [0.05]", "expected a list of 2 numbers"),
        ("cylinder: [0.05, 0.06]", "cylinder: [0.05, -1]", "must be greater than 0"),
        ("cylinder: [0.05, 0.06]", "cone: [0.05]", "expected one of box, cylinder, tub, ball"),
        ("look: wood", "look: gold", "must be one of wood, steel"),
        ("kind: part", "kind: prat", "is not a known value"),
        ("free: true, kg", "free: true, hinge: {axis: [0, 1, 0], range_deg: [0, 90]}, kg", "is free and has a hinge"),
        ("free: true, kg", "free: true, posed: true, kg", "is free and is posed; remove one"),
        ("[[0.5, 0.1, 0.76], [0.5, -0.1, 0.76]]", "[]", "expected a list of 1 points or more"),
        ("[0.5, -0.1, 0.76]]", "[0.5, -0.1]]", "expected a list of 3 numbers"),
        ("0.76, 90]", "0.76]", "expected a list of 4 numbers"),
        ("range_deg: [0, 90]", "range_deg: [0, .inf]", "expected a list of 2 numbers"),
        ("friction: 0.4", "frcition: 0.4", "unknown key 'frcition'"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(old: str, new: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=r"bad\.yaml:\d+: ") as error:
        parse_place(GOOD.replace(old, new, 1), "bad.yaml")
    assert words in str(error.value)


def test_an_unknown_place_is_named() -> None:
    with pytest.raises(ConfigError, match="unknown place 'moon'"):
        load_place("moon")


@pytest.mark.parametrize("place", PLACES)
def test_a_place_has_what_its_tasks_need(place: str) -> None:
    bodies = load_place(place).bodies
    assert tasks_of(place)
    for task in tasks_of(place):
        for seed in range(20):
            scenario = draw(task, seed)
            for name in scenario.poses:
                assert bodies[name].free or bodies[name].posed, (task, name)
            for name in (*scenario.mass_kg, *scenario.sliding):
                assert bodies[name].free, (task, name)


def test_bodies_are_as_heavy_as_the_place_says(model_cache: Path) -> None:
    model = build_model(model_cache)
    for body in load_place("workbench").bodies.values():
        if body.free:
            assert model.body(body.name).mass[0] == pytest.approx(body.kg)
    assert set(TASKS) >= {"lift_box", "carry_tray"}


def test_a_changed_place_is_built_anew(model_cache: Path) -> None:
    names = [path.name for path in model_cache.glob("*.mjb")]
    build_model(model_cache)
    assert sorted(names) == sorted(path.name for path in model_cache.glob("*.mjb"))
