"""The C library's heap of a process that runs for months: kept whole, and given back.

glibc gives every thread a heap of its own and keeps what has been freed between two blocks in use. Every
episode has its own threads, and what is received lives for seconds: such heaps grow with each episode.
Other C libraries are left as they are.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of malloc.h
_HEAPS = 2
_OWN_PAGES_BYTES = 512 << 10  # larger blocks get pages of their own, and give them back when freed


@cache
def _libc() -> Any:
    """None: it is not glibc."""
    try:
        libc = ctypes.CDLL(None)
        return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
    except OSError:
        return None


def keep_whole() -> bool:
    """Few heaps, none of them with large blocks; call before threads are started. False: it cannot be said."""
    libc = _libc()
    if libc is None:
        return False
    # Said once, the threshold no longer rises with the largest block that was ever freed.
    return bool(
        libc.mallopt(_M_ARENA_MAX, _HEAPS) and libc.mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES_BYTES)
    )


def give_back() -> None:
    """Give back what is free, some milliseconds long."""
    libc = _libc()
    if libc is not None:
        libc.malloc_trim(0)
