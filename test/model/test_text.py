"""Which texts are accepted, and how untrusted texts are shown."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.model.text import (
    TEXT_LIMITS,
    alike,
    json_visible,
    listed,
    storable,
    text_problem,
    visible,
    visible_lines,
)

# Every character there is, halves of characters too, and often one that steers.
HOSTILE = (
    "\x00\x07\x08\t\n\r\x1b\x7f\x85\x9b\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ud800"
)
TEXTS = st.text(
    st.one_of(st.sampled_from(HOSTILE), st.characters(exclude_categories=())), max_size=40
)


def steers(character: str) -> bool:
    """Return whether a character controls a terminal, by the Unicode database."""
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or (
        unicodedata.bidirectional(character)
        in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    )


@given(TEXTS)
def test_shown_text_is_one_line_without_control_characters(text: str) -> None:
    shown = visible(text)
    assert not any(map(steers, shown)) and not set(shown) & set("\u061c\u200e\u200f")
    assert len(shown.splitlines()) <= 1
    shown.encode("utf-8")
    assert visible(shown) == shown


@given(TEXTS)
def test_harmless_text_is_shown_unchanged(text: str) -> None:
    harmless = "".join(c for c in text if not steers(c) and c not in "\u061c\u200e\u200f")
    assert visible(harmless) == harmless


@given(st.lists(TEXTS, max_size=4))
def test_text_of_several_lines_keeps_only_line_ends(texts: list[str]) -> None:
    shown = visible_lines("\n".join(texts))
    assert len(shown.split("\n")) == sum(text.count("\n") + 1 for text in texts) or not texts
    assert not any(map(steers, shown.replace("\n", "")))


def test_escapes_are_those_of_python() -> None:
    assert visible("a\x1b[2J\n\x9b\u202eb\tö抓\U0001f916") == r"a\x1b[2J\n\x9b\u202eb\tö抓🤖"


@given(st.recursive(TEXTS, lambda inner: st.dictionaries(TEXTS, inner) | st.lists(inner)))
def test_escaped_json_has_the_same_value(value: object) -> None:
    for indent in (None, 1):
        shown = json_visible(json.dumps(value, ensure_ascii=False, indent=indent))
        assert json.loads(shown) == value
        assert not any(map(steers, shown.replace("\n", "")))
        shown.encode("utf-8")


@given(st.sampled_from(sorted(TEXT_LIMITS)), TEXTS)
def test_accepted_text_is_shown_unchanged(field: str, text: str) -> None:
    if not text_problem(field, text):
        lines = TEXT_LIMITS[field].lines
        assert (visible_lines(text.replace("\t", "")) if lines else visible(text)) == (
            text.replace("\t", "") if lines else text
        )


@pytest.mark.parametrize("field", TEXT_LIMITS)
def test_every_limit_is_enforced_and_named_in_the_error(field: str) -> None:
    most = TEXT_LIMITS[field].most
    assert not text_problem(field, "ä" * most)
    problem = text_problem(field, "ä" * (most + 1))
    assert f"{field} has {most + 1:,} characters, at most {most:,} are allowed" in problem
    for character in "\0\x1b\x85\u202e\u2028\udcff":
        problem = text_problem(field, f"a{character}", "--it")
        assert problem.startswith(f"--it contains the character {visible(character)}")
    assert bool(text_problem(field, "a\nb")) == (not TEXT_LIMITS[field].lines)


@given(st.text(st.characters()))
def test_a_storable_text_has_no_nul_and_no_half_of_a_character(text: str) -> None:
    found = storable(text + "\0\ud800")
    assert "\0" not in found and found.encode().decode() == found and len(found) == len(text) + 2
    assert storable(found) == found


def test_names_are_listed_as_in_a_sentence() -> None:
    assert [listed("abc"[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
    assert listed(["x", "y"], "or") == "x or y"


reasons = st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=8)


@given(reasons)
def test_what_is_said_once_still_names_everything(found: list[tuple[str, str, str]]) -> None:
    groups = alike(found)
    assert sum(1 + len(others) for _, _, others in groups) == len(found)
    named = [n for first, _, others in groups for n in (first, *others)]
    assert all(any(n.startswith(name) for n in named) for name, _, _ in found)
    assert {(first, why) for first, why, _ in groups} <= {(name, why) for name, _, why in found}


def test_reasons_that_differ_in_more_than_name_and_figures_are_told_apart() -> None:
    one, two, three = (
        ("a", "/a", "/a is 3.5 s late"), ("b", "/b", "/b is 12 s late"), ("c", "/c", "/c is 1 s early"),
    )  # fmt: skip
    assert alike([one, three, two]) == [("a", one[2], ["b (12 s)"]), ("c", three[2], [])]
    assert alike([one, ("d", "/d", "/d is 3.5 s late")]) == [("a", one[2], ["d"])]
    slow = [("a", "/a", "/a: 80.0 Hz, not 100 Hz"), ("b", "/b2", "/b2: 3.1 Hz, not 30 Hz")]
    assert alike(slow) == [("a", slow[0][2], ["b (3.1 Hz, 30 Hz)"])]


def test_numbers_in_names_are_no_figures() -> None:
    one = "/a is published as std_msgs/msg/Float32, the profile says std_msgs/msg/Float64"
    other = "/b is published as std_msgs/msg/Float64, the profile says std_msgs/msg/Float32"
    assert len(alike([("a", "/a", one), ("b", "/b", other)])) == 2
    assert len(alike([("a", "", "see UDPv4"), ("b", "", "see UDPv6")])) == 2
    assert len(alike([("a", "", "of /arm/1"), ("b", "", "of /arm/2")])) == 2
