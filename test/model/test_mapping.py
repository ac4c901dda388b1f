"""Paths of a mapping: what is written is what is taken."""

from __future__ import annotations

import pytest

from robot_recorder.model.mapping import OPEN_END, PathError, StampRule, Step, parse_path


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("data", (Step(("data",)),)),
        ("a[0:13, 15:20,22].q", (Step(("a",), ((0, 13), (15, 20), (22, None))), Step(("q",)))),
        ("a[3:]", (Step(("a",), ((3, OPEN_END),)),)),
        ("a[-1].b[]", (Step(("a",), ((-1, None),)), Step(("b",)))),
        ("forces[].{x,y}", (Step(("forces",)), Step(("x", "y")))),
        ("a{id.name=left.hand 2}.p", (Step(("a",), None, "id.name", "left.hand 2"), Step(("p",)))),
        ("a{n='7'}", (Step(("a",), None, "n", "7"),)),
    ],
)
def test_paths_are_parsed(text: str, steps: tuple[Step, ...]) -> None:
    assert parse_path(text).steps == steps


@pytest.mark.parametrize("text", ["", "a..b", "a[x]", "a[1:2", "a{b}", "3a", "a.{x}.b=", "[0]"])
def test_what_is_no_path_is_refused_with_examples(text: str) -> None:
    with pytest.raises(PathError, match=r"motor_state\[0:29\].q|not an index"):
        parse_path(text)


def test_a_rule_says_where_stamps_come_from() -> None:
    assert StampRule().text == "automatic"
    assert StampRule(path=parse_path("tick")).text == "tick"
