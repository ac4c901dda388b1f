"""YAML and JSON are read as plain values, within bounds of size and depth."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.model.plain_data import DEEPEST, check_count, check_yaml, load_json, load_yaml

scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=10)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=20,
)  # fmt: skip


@given(values)
def test_plain_values_are_read_back(value: object) -> None:
    assert load_json(json.dumps(value)) == value
    for flow in (True, False):
        assert load_yaml(yaml.safe_dump(value, default_flow_style=flow)) == value


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        load_yaml(text)
    except (ValueError, yaml.YAMLError):
        pass
    try:
        load_json(text)
    except ValueError:
        pass


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a" * 101, "it is larger than 0.0001 MB"),
        ("[" * (DEEPEST + 1), f"it is nested deeper than {DEEPEST} levels"),
        ("- " * DEEPEST + "a", f"it is nested deeper than {DEEPEST} levels"),
        ("a: b\n" + "-  " * DEEPEST + "a", f"it is nested deeper than {DEEPEST} levels"),
        ("-\t" * DEEPEST + "a", f"it is nested deeper than {DEEPEST} levels"),
        ("a:\r" + "? - " * DEEPEST + "a", f"it is nested deeper than {DEEPEST} levels"),
        ("\ufeff" + "- " * DEEPEST + "a", f"it is nested deeper than {DEEPEST} levels"),
        ("a: b\x85" + " " * DEEPEST + "a", f"it is nested deeper than {DEEPEST} levels"),
    ],
)
def test_a_text_that_is_too_large_or_deep_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        load_yaml(text, 100 if text.startswith("aa") else 10_000)


@pytest.mark.parametrize("line", [
    "- " * (DEEPEST - 1) + "x\n", "x " + "- " * DEEPEST + "\n", " " * (DEEPEST - 1) + "x\n", "?:-" * 200 + "\n",
])  # fmt: skip
def test_the_depth_is_looked_for_in_linear_time(line: str) -> None:
    text = (line * (2_000_000 // len(line)))[:2_000_000]
    begun_s = time.process_time()
    with contextlib.suppress(yaml.YAMLError):
        check_yaml(text)
    assert time.process_time() - begun_s < 0.5


def test_json_that_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(ValueError, match="nested too deep"):
        load_json("[" * 1_000_000)


def test_aliases_count_as_what_they_stand_for() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 8):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]")
    assert load_yaml("\n".join(lines[:4]))["a1"][9] == ["x"] * 10
    with pytest.raises(ValueError, match=r"its aliases stand for more than 1,000,000 values"):
        check_yaml("\n".join(lines))
    assert load_yaml("a: 'no *alias'") == {"a": "no *alias"}


def test_long_texts_count_as_often_as_aliases_name_them() -> None:
    text = "a: &a " + "x" * 300_000 + "\nb: [" + ", ".join(["*a"] * 3000) + "]"
    with pytest.raises(ValueError, match="aliases stand for more than 16 MB"):
        check_yaml(text)
    assert len(load_yaml(text.replace(", *a" * 2990, ""))["b"]) == 10


@pytest.mark.parametrize("text", ["&a [*a]", "a: &a {b: {c: *a}}", "- &a 1\n- &a [*a]"])
def test_a_value_that_holds_itself_is_refused(text: str) -> None:
    with pytest.raises((ValueError, yaml.YAMLError)):
        load_yaml(text)


def test_values_are_counted_before_a_document_is_read() -> None:
    check_count("[" + "x, " * 998 + "x]", 1000)
    for text in ("[" + "x, " * 1000 + "x]", "- [a]\n" * 501, "- " * 250 + "a\n" + "- x\n" * 800):
        with pytest.raises(ValueError, match="more than 1,000 values"):
            check_count(text, 1000)
    check_count("[" * 2000, 1_000_000)
    check_count("}" + "x" * 2000, 1000)
