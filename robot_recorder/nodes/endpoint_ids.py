"""What the ids of Fast DDS tell about where a publisher runs.

Their bytes are: 2 of the vendor, 2 that are the same for all processes of a machine, 2 with the low bits
of the process's number, the lower one first, and 2 of chance (GuidUtils.hpp of Fast DDS, 2.1 to 3.6).
"""

from __future__ import annotations

from collections.abc import Iterable

_FAST_DDS = b"\x01\x0f"
_MACHINE, _PROCESS = slice(0, 4), slice(4, 6)


def machine_of(ids: Iterable[bytes], pid: int) -> bytes:
    """Return how all ids of this machine begin; empty: unknown, ambiguous, or another middleware.

    Args:
        ids: of endpoints of this process, and of others that may pass for it.
        pid: number of this process.
    """
    own = (pid & 0xFFFF).to_bytes(2, "little")
    found = {id[_MACHINE] for id in ids if id[:2] == _FAST_DDS and id[_PROCESS] == own}
    return found.pop() if len(found) == 1 else b""


def processes_on(machine: bytes, ids: Iterable[bytes]) -> frozenset[int]:
    """Return the low 16 bits of the numbers of the processes on a machine that the ids belong to."""
    if not machine:
        return frozenset()
    return frozenset(
        int.from_bytes(id[_PROCESS], "little") for id in ids if id[_MACHINE] == machine
    )
