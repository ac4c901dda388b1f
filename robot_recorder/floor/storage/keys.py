"""Which keys a storage takes: the same for buckets and directories, so one can become the other."""

from __future__ import annotations

from robot_recorder.floor.storage.port import StorageError, StorageTrouble
from robot_recorder.model.ids import shown_id

MOST_KEY_BYTES = 1024  # of S3
MOST_SEGMENT_BYTES = 255  # of file systems
MOST_PARTS = 10_000  # of S3


def key_problem(key: str) -> str:
    """Return why a text cannot be a key; empty: it can."""
    if not key:
        return "it is empty"
    if not key.isprintable():  # newline, NUL, ESC, direction marks, invalid UTF-8
        return "it contains invisible characters"
    if len(key.encode()) > MOST_KEY_BYTES:
        return f"it has more than {MOST_KEY_BYTES} bytes"
    if "\\" in key:
        return "it contains a backslash"
    for segment in key.split("/"):
        if not segment:
            return "it begins or ends with a slash, or has two in a row"
        if segment[0] == ".":
            return "one of its segments begins with a dot"
        if len(segment.encode()) > MOST_SEGMENT_BYTES:
            return f"one of its segments has more than {MOST_SEGMENT_BYTES} bytes"
    return ""


def checked_key(key: str) -> str:
    """Return a key after checking it.

    Raises:
        StorageError: it cannot be a key.
    """
    if problem := key_problem(key):
        raise StorageError(
            StorageTrouble.WRONG, f"{shown_id(key)} cannot be the key of an object: {problem}"
        )
    return key


def checked_prefix(prefix: str) -> str:
    """Return what keys are to begin with, after checking it; empty: every key.

    Raises:
        StorageError: no key can begin with it.
    """
    if problem := key_problem(prefix + "x") if prefix else "":
        raise StorageError(
            StorageTrouble.WRONG, f"no key begins with {shown_id(prefix)}: {problem}"
        )
    return prefix


def checked_part(number: int, size: int) -> None:
    """Check the number and the size of a part.

    Raises:
        StorageError: there is no such part.
    """
    if not 1 <= number <= MOST_PARTS:
        raise StorageError(
            StorageTrouble.WRONG, f"parts have numbers from 1 to {MOST_PARTS}, not {number}"
        )
    if size < 0:
        raise StorageError(StorageTrouble.WRONG, f"a part cannot have {size} bytes")


def checked_sequence(numbers: list[int]) -> None:
    """Check the numbers of all parts of an object, sorted.

    Raises:
        StorageError: they are not 1, 2, 3 and so on.
    """
    if not numbers or numbers != list(range(1, len(numbers) + 1)):
        raise StorageError(
            StorageTrouble.WRONG, "the parts of an object are numbered from 1 without gaps"
        )
    checked_part(len(numbers), 0)
