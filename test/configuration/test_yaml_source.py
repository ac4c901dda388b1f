"""Errors of YAML files name the line, the value and the most similar word."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.configuration.yaml_source import YamlMap, did_you_mean, is_name, nearest
from robot_recorder.model.errors import ConfigError

TEXT = """
name: arm
rate: 2.5
on: true
words: [a, b]
inner:
  rate: 3
  deeper: {x: 1}
"""


def parsed(text: str = TEXT) -> YamlMap:
    return YamlMap.parse(text, "f.yaml")


def test_every_kind_of_value_is_read() -> None:
    top = parsed()
    assert list(top) == ["name", "rate", "on", "words", "inner"] and "rate" in top
    assert (top.text("name"), top.number("rate"), top.texts("words")) == ("arm", 2.5, ("a", "b"))
    assert top.flag("on", False) and not top.flag("off", False)
    assert top.choice("name", ["arm", "leg"]) == "arm"
    assert (top.number("none"), top.number("none", 4.0), top.texts("none")) == (None, 4.0, ())
    inner = top.map("inner")
    assert inner.number("rate") == 3.0 and inner.map("deeper").where == "inner.deeper"
    assert top.value("inner") == {"rate": 3, "deeper": {"x": 1}}


@pytest.mark.parametrize(
    ("text", "key", "get", "told"),
    [
        ("a: 1", "a", YamlMap.text, "f.yaml:1: 'a': expected text, got 1; put it in quotes"),
        ("a: 1", "b", YamlMap.text, "f.yaml:1: 'b' is missing; add it"),
        ("x: 0\na: z", "a", YamlMap.number, "f.yaml:2: 'a': expected a number, got 'z'"),
        ("a: true", "a", YamlMap.number, "f.yaml:1: 'a': expected a number, got True"),
        ("a: .inf", "a", YamlMap.number, "f.yaml:1: 'a': expected a finite number, got inf"),
        ("a: [1]", "a", YamlMap.texts, "f.yaml:1: 'a': expected a list of texts, got [1]"),
        ("a: b", "a", YamlMap.texts, "f.yaml:1: 'a': expected a list of texts, got 'b'"),
        ("a: 1", "a", YamlMap.map, "f.yaml:1: 'a': expected a mapping of keys to values"),
        ("a: 1", "b", YamlMap.map, "f.yaml:1: 'b' is missing; add it"),
    ],
)
def test_a_value_of_another_kind_is_an_error_with_its_line(
    text: str, key: str, get: Any, told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        get(parsed(text), key)
    assert str(caught.value) == told


def test_numbers_have_bounds_and_words_have_neighbours() -> None:
    top = parsed()
    with pytest.raises(ConfigError, match=r"f\.yaml:3: 'rate': must be greater than 3, got 2\.5"):
        top.number("rate", above=3)
    with pytest.raises(ConfigError, match=r"must be at most 2, got 2\.5"):
        top.number("rate", most=2)
    with pytest.raises(ConfigError, match=r"'arm' is not a known value; did you mean 'arms'\?"):
        top.choice("name", ["arms", "x"])
    with pytest.raises(ConfigError, match=r"f\.yaml:4: unknown key 'on'; did you mean 'one'\?"):
        top.allow(["name", "rate", "one", "words", "inner"])
    with pytest.raises(ConfigError, match=r"f\.yaml:7: inner: unknown key 'rate'; known: zzz"):
        top.map("inner").allow(["zzz"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\na: 2", "f.yaml:2: 'a' appears twice; remove one"),
        ("- a", "f.yaml: expected a mapping of keys to values at the top level"),
        ("", "f.yaml: expected a mapping of keys to values at the top level"),
        ("a: 1\nb: [", "f.yaml:2: not valid YAML: "),
    ],
)
def test_a_text_that_is_not_a_mapping_is_refused(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    assert str(caught.value).startswith(told)


@given(st.text(max_size=40))
def test_any_text_is_a_mapping_or_an_error_that_names_the_file(text: str) -> None:
    try:
        list(parsed(text))
    except ConfigError as error:
        assert str(error).startswith("f.yaml:")


@given(st.text(max_size=8), st.lists(st.sampled_from(["joints", "joint", "camera", "imu"])))
def test_only_known_words_are_proposed(word: str, known: list[str]) -> None:
    near = nearest(word, known)
    assert set(near) <= set(known) and len(near) <= 3
    assert not known or word not in known or near[0] == word
    assert did_you_mean(word, known).startswith("did you mean" if near else "known: ")


def test_names_are_letters_digits_and_underscores_after_a_letter() -> None:
    assert all(map(is_name, ("a", "A1_b")))
    assert not any(map(is_name, ("", "1a", "_a", "a b", "a-b", "ä", "a\n")))
