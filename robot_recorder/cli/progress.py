"""Progress bars on standard error, when that is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from robot_recorder.model.text import visible


@contextmanager
def progress(name: str) -> Iterator[Callable[[str, float], None]]:
    """Show a bar for one piece of work; it disappears at the end.

    Yields:
        A function to call with what is being done, and which share of it is done, 0 to 1.
    """
    with _bars() as bars:
        bar = bars.add_task(visible(name), total=1.0)

        def told(what: str, share: float) -> None:
            bars.update(bar, completed=share, description=visible(f"{what} {name}"))

        yield told


@contextmanager
def counted(what: str, least: int = 2) -> Iterator[Callable[[int, int], None]]:
    """Show a bar that counts; it disappears at the end.

    Args:
        least: with fewer than this in all, no bar appears.

    Yields:
        A function to call with how many are done, and of how many.
    """
    bars = None  # only when there is much to count: a quick command neither imports nor draws one

    def told(done: int, total: int) -> None:
        nonlocal bars
        if total < least:
            return
        if bars is None:
            bars = _counting_bars()
            bars.add_task(visible(what), total=None)
            bars.start()
        bars.update(bars.task_ids[0], completed=done, total=total)

    try:
        yield told
    finally:
        if bars is not None:
            bars.stop()


Shown = Callable[[str, str, int, int], None]
"""Shows what is done, a detail of it, and how many of how many pieces are done."""


@contextmanager
def working() -> Iterator[Shown]:
    """Show a bar for each kind of work, with rate and remaining time; they disappear at the end."""
    bars = _counting_bars()
    tasks: dict[str, Any] = {}

    def shown(what: str, detail: str, done: int, total: int) -> None:
        bars.start()  # again does nothing
        if what not in tasks:
            tasks[what] = bars.add_task(visible(what), total=total)
        told = visible(f"{what} {detail}".strip())
        bars.update(tasks[what], completed=done, description=told)

    try:
        yield shown
    finally:
        if bars.live.is_started:
            bars.stop()


def _counting_bars() -> Any:
    from rich.progress import MofNCompleteColumn, TimeRemainingColumn

    return _bars(MofNCompleteColumn(), TimeRemainingColumn())


def _bars(*columns: Any) -> Any:
    from rich.progress import BarColumn, Progress, TextColumn

    from robot_recorder.cli.tables import Console

    console = Console(stderr=True)
    name = TextColumn("{task.description}", markup=False)
    return Progress(
        name,
        BarColumn(),
        *columns,
        console=console,
        transient=True,
        disable=not console.file.isatty(),
    )
