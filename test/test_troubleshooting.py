"""The messages quoted in docs/troubleshooting.md must be those of the programs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest
from support.pages import ROOT

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
HEADINGS = re.findall(r"^### (\d+)\. (.+)$", PAGE, re.M)
QUOTES = [quote for _, heading in HEADINGS for quote in re.findall(r"`([^`]+)`", heading)]
ANYTHING = "\0"


def texts(node: ast.expr) -> str:
    """Return the text of a literal, an f-string or a sum; values known only at run time as ANYTHING."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(map(texts, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return texts(node.left) + texts(node.right)
    return ANYTHING


@cache
def source_texts() -> str:
    """Return all texts of the source, one after another."""

    def found() -> Iterator[str]:
        for folder in ("robot_recorder", "launch", "tools"):
            for source in sorted((ROOT / folder).rglob("*.py")):
                for node in ast.walk(ast.parse(source.read_text())):
                    if isinstance(node, (ast.Constant, ast.JoinedStr, ast.BinOp)):
                        yield once(texts(node))

    return "\n\n".join(found())


def once(text: str) -> str:
    return re.sub(f"{ANYTHING}+", ANYTHING, text)


def pattern(quote: str) -> str:
    """Return a quote with its ``<placeholders>`` as ANYTHING."""
    return once(re.sub(r"<[^<>]+>", ANYTHING, quote))


@pytest.mark.parametrize("quote", QUOTES)
def test_every_quoted_text_is_in_the_source(quote: str) -> None:
    assert pattern(quote) in source_texts(), f"no message reads {quote!r}: was it changed?"


def test_problems_are_numbered_and_each_has_a_cause_and_a_fix() -> None:
    assert [int(number) for number, _ in HEADINGS] == list(range(1, len(HEADINGS) + 1))
    assert len(HEADINGS) >= 20 and all("`" in heading for _, heading in HEADINGS)
    for part in re.split(r"^### ", PAGE, flags=re.M)[1:]:
        assert part.count("**Cause:**") == 1 == part.count("**Fix:**"), part.splitlines()[0]


def test_a_changed_message_is_noticed() -> None:
    assert pattern("<topic> is published as <type>, the profile says <type>") in source_texts()
    assert (
        pattern("<topic> is published like <type>, the profile says <type>") not in source_texts()
    )
    assert pattern("nothing ever arrived on <topic>, <why>") not in source_texts(), (
        "the number of placeholders counts, too"
    )
