"""Check the sentences of tasks and subtasks."""

from __future__ import annotations

import json
from typing import Any

from robot_recorder.dataset.verify.findings import first_line, some
from robot_recorder.dataset.verify.reading import OpenedSet, json_lines, read_table

_TASKS, _SUBTASKS = "meta/tasks.parquet", "meta/subtasks.parquet"
_OLD_TASKS = "meta/tasks.jsonl"
_WRITE = "write it with pandas, the sentences as index of the DataFrame"


def read_tasks(ds: OpenedSet) -> list[str] | None:
    """Return the sentences by their place; None: they cannot be read."""
    if not ds.is_old:
        if "subtask_index" in ds.features and (ds.root / _SUBTASKS).exists():
            _words(ds, _SUBTASKS, "subtask")
        return _words(ds, _TASKS, "task")
    found = list(json_lines(ds, _OLD_TASKS))
    words = [f.get("task") for f in found]
    return _checked(ds, _OLD_TASKS, "task", [f.get("task_index") for f in found], words) or None


def _words(ds: OpenedSet, name: str, word: str) -> list[str] | None:
    table = read_table(ds, ds.root / name)
    if table is None:
        return None
    number = f"{word}_index"
    column = next((c for c in (word, "__index_level_0__") if c in table.column_names), None)
    if column is None or number not in table.column_names:
        ds.add(name, f"it has not the columns {number} and {word}", _WRITE)
        return None
    try:
        pandas = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}"))
        words, numbers = table[column].to_pylist(), table[number].to_pylist()
    except ValueError as error:  # neither JSON nor UTF-8
        ds.add(name, "it cannot be read", _WRITE, example=first_line(error))
        return None
    indexed = pandas.get("index_columns") if isinstance(pandas, dict) else None
    if not isinstance(indexed, list) or column not in indexed or "columns" not in pandas:
        what = "the sentences are not its pandas index: LeRobot gives a row's number for the "
        ds.add(name, what + word, _WRITE)
    return _checked(ds, name, word, numbers, words)


def _checked(
    ds: OpenedSet, name: str, word: str, numbers: list[Any], words: list[Any]
) -> list[str]:
    """Check sentences and their numbers; return the sentences."""
    if numbers != list(range(len(words))):
        there = some(map(repr, numbers))
        what = f"{word}_index is {there} instead of 0, 1, 2 in the order of rows"
        ds.add(name, what, f"sort the rows by {word}_index, and number them without gaps")
    texts = [str(w) for w in words]
    if len(set(texts)) < len(words) or texts != words:
        ds.add(name, f"a {word} is there twice, or is no text", "give each sentence one row")
    return texts
