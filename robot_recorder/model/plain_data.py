"""Read untrusted YAML and JSON within limits of size and depth."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import yaml

MOST_BYTES = 16_000_000  # of a metadata.yaml, the largest kind of YAML file
MOST_CONFIGURATION_BYTES = 1_000_000  # of a robot profile or a task registry
DEEPEST = 300  # nested lists and mappings
MOST_NODES = 1_000_000  # with all aliases expanded
_DEEP = re.compile(rf"^[ ]{{{DEEPEST}}}|(?:[-?] ){{{DEEPEST}}}", re.MULTILINE)
_ALIAS = re.compile(r"(?:^|[\s\[{,])\*\S")


def load_yaml(text: str, most_bytes: int = MOST_BYTES) -> Any:
    """Read a YAML document.

    Args:
        text: the document.
        most_bytes: maximum size, characters.

    Raises:
        ValueError: it is too large or nested too deep.
        yaml.YAMLError: it is not YAML.
    """
    check_yaml(text, most_bytes)
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def check_yaml(text: str, most_bytes: int = MOST_BYTES) -> None:
    """Check quickly that YAML is not too expensive to read.

    Args:
        text: the document.
        most_bytes: maximum size, characters.

    Raises:
        ValueError: it is too large or nested too deep.
        yaml.YAMLError: it has aliases, and is not valid YAML.
    """
    if len(text) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes / 1e6:g} MB")
    if _is_deep(text):  # it could overflow libyaml's stack and crash the process
        raise ValueError(f"it is nested deeper than {DEEPEST} levels")
    if _ALIAS.search(text) and _expanded(text) > MOST_NODES:
        raise ValueError(f"its aliases stand for more than {MOST_NODES:,} values")


def load_json(text: str) -> Any:
    """Read a JSON document.

    Raises:
        ValueError: it is not JSON, or nested too deep.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _is_deep(text: str) -> bool:
    if _DEEP.search(text):
        return True
    data = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    opening, closing = (data == 91) | (data == 123), (data == 93) | (data == 125)  # [ {  ] }
    depth = np.cumsum(opening.astype(np.int32) - closing)
    return bool(len(depth)) and int(depth.max()) > DEEPEST


def _expanded(text: str) -> int:
    """Return the number of values with all aliases expanded."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = [
        (None, 0)
    ]  # anchor and size so far of the open collections, outermost first
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            open_.append((event.anchor, 1))
            continue
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            anchor, size = open_.pop()
        elif isinstance(event, yaml.AliasEvent):
            anchor, size = None, sizes.get(str(event.anchor), 1)
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        outer, before = open_[-1]
        open_[-1] = outer, before + size
    return open_[-1][1]
