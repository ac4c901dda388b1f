"""Find the names of joints, bodies and pads in messages, or make some up."""

from __future__ import annotations

import re
from collections.abc import Sequence

from robot_recorder.messages.definition import PRIMITIVES, TEXTS
from robot_recorder.offline.field_values import ReadField

_NAMES = {"name", "names", "id", "ids", "joint", "motor", "index", "label", "pos", "sensor", "key",
          "no", "number"}  # fmt: skip


def element_names(members: Sequence[ReadField]) -> ReadField | None:
    """Return the field that names the elements of an array: all different; None: no field does."""
    fitting = [
        m for m in members if not m.many and (m.type in TEXTS or is_number(m)) and _are_names(m.texts)
    ]  # fmt: skip
    fitting.sort(key=lambda m: (m.type not in TEXTS, not _NAMES & set(m.words), "frame" in m.words))
    return fitting[0] if fitting else None


def is_number(one: ReadField) -> bool:
    """Return whether a field numbers the elements of an array: never changing, all different."""
    if (
        one.many
        or not one.in_array
        or not one.whole
        or not {"name", "id", "index", "pos", "position"} & set(one.words)
    ):
        return False
    constant = len(one.values) and bool((one.values == one.values[:1]).all())
    return (
        (bool(constant) and one.count > 1 and _are_names(one.texts))
        or "name" in one.words
        or "id" in one.words
    )


def sibling_names(members: Sequence[ReadField], count: int) -> ReadField | None:
    """Return the array of texts or ids that names ``count`` values beside it; None: no array does."""
    fitting = [m for m in members if m.many and (m.type in TEXTS or _are_ids(m))]
    fitting.sort(key=lambda m: m.type not in TEXTS)
    return next((m for m in fitting if len(m.texts) == count and _are_names(m.texts)), None)


def _are_ids(one: ReadField) -> bool:
    """Return whether an array has ids: whole numbers that say so and never change."""
    ids = one.whole and one.fixed and {"id", "ids", "name", "names"} & {*one.words}
    return bool(ids) and len(one.values) > 0 and bool((one.values == one.values[:1]).all())


def group_names(members: Sequence[ReadField], parts: Sequence[int]) -> tuple[list[str], str]:
    """Return names of values in groups that have a name each, and the path of those names.

    Args:
        members: fields of a group.
        parts: number of values in each group.
    """
    field = element_names(members)
    if field is None or field.type not in TEXTS or len(field.texts) != len(parts):
        return [], ""
    names = [
        f"{text}_{n}" if part > 1 else text
        for text, part in zip(field.texts, parts)
        for n in range(part)
    ]
    return (names, field.path) if len(set(names)) == len(names) else ([], "")


def _are_names(texts: Sequence[str]) -> bool:
    return bool(texts) and all(t.strip() for t in texts) and len(set(texts)) == len(texts)


def numbers_as_names(one: ReadField) -> bool:
    """Return whether the names in the messages are only numbers."""
    return one.type in PRIMITIVES


def unique_words(paths: Sequence[str]) -> list[str]:
    """Return a short unique name for each path: its last part, or all parts if needed."""
    last = [_clean(path.rpartition(".")[2]) for path in paths]
    whole = [_clean(path) for path in paths]
    names = last if len(set(last)) == len(last) else whole
    found: list[str] = []
    for name in names:
        while name in found:
            name += "_"
        found.append(name)
    return found


def _clean(path: str) -> str:
    return re.sub(r"\W+", "_", path).strip("_") or "value"
