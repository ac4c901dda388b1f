"""Names that become part of a path: episode ids, and the robots and tasks that they are made of."""

from __future__ import annotations

from robot_recorder.model.errors import BagError

# A file's name may have 255 bytes. The rest is room for -2, .partial, _0.mcap and what is temporary.
MAX_ID_BYTES = 200
PARTIAL = ".partial"


def id_problem(id: str) -> str:
    """Why a text cannot be the name of an episode's directory; empty: it can."""
    if not id:
        return "it is empty"
    if id[0] == ".":
        return "it begins with a dot"
    if "/" in id or "\\" in id:
        return "it contains a path separator"
    if not id.isprintable():  # newline, NUL, ESC, marks of direction, bytes that are no text
        return "it contains characters that cannot be seen"
    if id.endswith(PARTIAL):
        return f"it ends in {PARTIAL}, which marks what is not finished"
    size = len(id.encode())
    return f"it has {size} bytes, more than {MAX_ID_BYTES}" if size > MAX_ID_BYTES else ""


def checked_id(id: str) -> str:
    """The id itself, fit to be the name of a directory; every id passes here before it becomes a path.

    Raises:
        BagError: it is not fit.
    """
    if problem := id_problem(id):
        raise BagError(f"{shown_id(id)} cannot be an episode's id: {problem}")
    return id


def shown_id(id: str) -> str:
    """An id of any origin for a message: short, quoted, with what cannot be seen written as escapes."""
    return repr(id if len(id) <= 60 else id[:60] + "...")
