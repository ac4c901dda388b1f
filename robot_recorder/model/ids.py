"""Check names that become part of a path: episode ids, robots and tasks."""

from __future__ import annotations

from robot_recorder.model.errors import BagError

# File names may have 255 bytes; this leaves room for -2, .partial, _0.mcap and temporary endings.
MAX_ID_BYTES = 200
PARTIAL = ".partial"


def id_problem(id: str) -> str:
    """Return why a text cannot be the name of an episode's directory; empty: it can."""
    if not id:
        return "it is empty"
    if id[0] == ".":
        return "it begins with a dot"
    if "/" in id or "\\" in id:
        return "it contains a path separator"
    if not id.isprintable():  # newline, NUL, ESC, direction marks, invalid UTF-8
        return "it contains invisible characters"
    if id.endswith(PARTIAL):
        return f"it ends in {PARTIAL}, which marks unfinished episodes"
    size = len(id.encode())
    return f"it has {size} bytes, more than {MAX_ID_BYTES}" if size > MAX_ID_BYTES else ""


def checked_id(id: str) -> str:
    """Return an id after checking it; every id is checked here before it becomes a path.

    Raises:
        BagError: it cannot be the name of a directory.
    """
    if problem := id_problem(id):
        raise BagError(f"{shown_id(id)} cannot be an episode's id: {problem}")
    return id


def shown_id(id: str) -> str:
    """Return an untrusted id for a message: shortened, quoted, invisible characters escaped."""
    return repr(id if len(id) <= 60 else id[:60] + "...")
