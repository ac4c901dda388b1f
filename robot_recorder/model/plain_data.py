"""Read untrusted YAML and JSON within limits of size and depth."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's: 15 times faster
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
MOST_BYTES = 16_000_000  # of a metadata.yaml, the largest kind of YAML file
MOST_CONFIGURATION_BYTES = 1_000_000  # of a robot profile or a task registry
DEEPEST = 300  # nested lists and mappings
MOST_NODES = 1_000_000  # with all aliases expanded
# Block collections nest by what a line begins with: spaces, and indicators that spaces follow. Only one way to
# match, and only at the beginning of a line: else it would take quadratic time.
_DEEP = re.compile(rf"(?:\A|[\n\r\x85\u2028\u2029])\ufeff?(?:[-?:]?[ \t]){{{DEEPEST}}}")
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
    return yaml.load(text, LOADER)


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
    if _ALIAS.search(text):
        nodes, characters = _expanded(text)
        if nodes > MOST_NODES:
            raise ValueError(f"its aliases stand for more than {MOST_NODES:,} values")
        if characters > most_bytes:
            raise ValueError(f"its aliases stand for more than {most_bytes / 1e6:g} MB")


def check_count(text: str, most: int) -> None:
    """Check that a YAML document has not too many values: reading it would hold up all threads of the process.

    Args:
        text: the document; what is not YAML passes.
        most: values, aliases not expanded.

    Raises:
        ValueError: it has more.
    """
    if len(text) <= most:
        return
    count = 0
    try:
        for event in yaml.parse(text, Loader=LOADER):
            count += isinstance(event, yaml.NodeEvent)
            if count > most:
                raise ValueError(f"it has more than {most:,} values")
    except yaml.YAMLError:  # whoever reads it says so
        return


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
    import numpy as np  # where there is YAML to read: no command needs it before

    data = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    opening, closing = (data == 91) | (data == 123), (data == 93) | (data == 125)  # [ {  ] }
    depth = np.cumsum(opening.astype(np.int32) - closing)
    return bool(len(depth)) and int(depth.max()) > DEEPEST


def _expanded(text: str) -> tuple[int, int]:
    """Return the numbers of values and of characters with all aliases expanded.

    Raises:
        ValueError: a value holds itself.
        yaml.YAMLError: it is not YAML.
    """
    sizes: dict[str, tuple[int, int]] = {}
    # Anchor, values and characters so far of the open collections, outermost first.
    open_: list[tuple[str | None, int, int]] = [(None, 0, 0)]
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            open_.append((event.anchor, 1, 1))
            continue
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            anchor, nodes, characters = open_.pop()
        elif isinstance(event, yaml.AliasEvent):
            if any(event.anchor == anchor for anchor, _, _ in open_):
                raise ValueError(f"the value {event.anchor[:60]} holds itself")
            anchor, (nodes, characters) = None, sizes.get(str(event.anchor), (1, 1))
        elif isinstance(event, yaml.ScalarEvent):
            anchor, nodes, characters = event.anchor, 1, 1 + len(event.value)
        else:
            continue
        if anchor is not None:
            sizes[anchor] = nodes, characters
        outer, before, before_characters = open_[-1]
        open_[-1] = outer, before + nodes, before_characters + characters
    return open_[-1][1:]
