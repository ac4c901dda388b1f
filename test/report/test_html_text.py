"""Whatever text a bag holds, HTML made of it stays text."""

from __future__ import annotations

import math
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.report.html_text import (
    at_time,
    element,
    html,
    moment,
    number,
    prose,
    size,
    table,
)

texts = st.text(st.characters(codec=None), max_size=30)


class Reader(HTMLParser):
    """Collects elements with their attributes, and the text between them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(text: str) -> str:
    """Return a text as it must arrive: what cannot be printed is replaced."""
    return html(text).replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace(
        "&#x27;", "'").replace("&amp;", "&")  # fmt: skip


@given(texts, texts)
def test_a_text_makes_no_element_and_leaves_no_attribute(content: str, value: str) -> None:
    read = Reader(element("p", content, title=value, class_=None))
    assert read.elements == [("p", {"title": shown(value)})]
    assert read.text == shown(content)
    read.text.encode()


@given(st.lists(st.lists(texts, min_size=2, max_size=2), max_size=4))
def test_a_table_has_a_cell_for_each_text(rows: list[list[str]]) -> None:
    read = Reader(table(("a", "b"), rows, numbers={1}))
    cells = [attributes for tag, attributes in read.elements if tag == "td"]
    assert cells == [{}, {"class": "number"}] * len(rows)


def test_html_is_not_escaped_again_and_lists_are_joined() -> None:
    inner = element("b", "<")
    assert html([inner, None, " & ", (1, 2)]) == "<b>&lt;</b> &amp; 12"
    assert element("img", src="a", hidden=True, alt=False) == '<img src="a" hidden>'
    assert prose("call `a < b` now") == "call <code>a &lt; b</code> now"
    assert at_time(1.5) == '<a href="#t=1.500" class="time">1.50 s</a>'


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (math.nan, "–"), (math.inf, "–"), (2.5, "2.5 m"), (0.0, "0 m")]
)
def test_a_missing_figure_is_a_dash(value: float | None, text: str) -> None:
    assert number(value, unit="m") == text


def test_sizes_and_times_are_for_people() -> None:
    assert [size(n) for n in (999, 1000, 2_500_000, 10**10)] == [
        "999 bytes", "1.0 kB", "2.5 MB", "10.0 GB",
    ]  # fmt: skip
    assert moment(0) == "1970-01-01 00:00:00 UTC" and moment(10**30) == "not a time"
