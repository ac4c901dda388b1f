"""Keep the heap small in a process that runs for months, and what looks after it cheap.

glibc gives every thread its own heap and keeps freed memory that lies between used blocks. Every
episode has its own threads, and received messages live for seconds, so these heaps grow with each
episode. Other C libraries are not changed.
"""

from __future__ import annotations

import ctypes
import gc
from functools import cache
from typing import Any

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # from malloc.h
_HEAPS = 2
# Larger blocks get their own pages, which are returned when freed and cleared when taken: for every raw
# picture, that would cost as much as all the rest of recording it (docs/robots.md).
_OWN_PAGES_BYTES = 4 << 20

# Objects made and not freed before Python looks for cycles among them. A thousand samples wait for the disk at any
# time, and are part of none: looking at each of them twice costs as much as their way through the ring.
_BETWEEN_COLLECTIONS = 20_000


@cache
def _libc() -> Any:
    """Return the C library; None: it is not glibc."""
    try:
        libc = ctypes.CDLL(None)
        return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
    except OSError:
        return None


def keep_whole() -> bool:
    """Limit the number of heaps and keep large blocks out of them; return whether that worked.

    Call it before threads are started.
    """
    libc = _libc()
    if libc is None:
        return False
    # Setting the threshold keeps glibc from raising it with the largest freed block.
    return bool(
        libc.mallopt(_M_ARENA_MAX, _HEAPS) and libc.mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES_BYTES)
    )


def collect_seldom() -> None:
    """Let Python's garbage collector look less often, and not at what has been made so far."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_BETWEEN_COLLECTIONS)


def give_back() -> None:
    """Return free memory to the system; takes a few milliseconds."""
    libc = _libc()
    if libc is not None:
        libc.malloc_trim(0)
