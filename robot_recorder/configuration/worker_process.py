"""How a process of a pool begins: it yields to recording, and ends with the program that started it."""

from __future__ import annotations

import os
import threading


def begin_worker(nice: int = 0) -> None:
    """Prepare a new process: the initializer of every pool but that of exports, which is forked.

    A pool's processes hold both ends of its pipes, so that nothing else tells them that the program was
    killed: they would stay, each with its memory, and with the terminal open.

    Args:
        nice: how far it stands back.
    """
    os.nice(nice)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    from multiprocessing import parent_process  # only in the new process: it is slow to import

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)
