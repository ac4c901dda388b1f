"""Bars where somebody can see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from robot_recorder.model.text import visible


@contextmanager
def progress(name: str) -> Iterator[Callable[[str, float], None]]:
    """Gives what is to be told what is done, and the share that is, 0 to 1; the bar is gone afterwards."""
    with _bars() as bars:
        bar = bars.add_task(visible(name), total=1.0)

        def told(what: str, share: float) -> None:
            bars.update(bar, completed=share, description=visible(f"{what} {name}"))

        yield told


@contextmanager
def counted(what: str, least: int = 2) -> Iterator[Callable[[int, int], None]]:
    """Gives what is to be told how many are done, and of how many.

    Args:
        least: with fewer there is nothing to wait for, and no bar.
    """
    from rich.progress import MofNCompleteColumn, TimeRemainingColumn

    with _bars(MofNCompleteColumn(), TimeRemainingColumn()) as bars:
        bar = bars.add_task(visible(what), total=None, visible=False)
        yield lambda done, total: bars.update(
            bar, completed=done, total=total, visible=total >= least
        )


def _bars(*columns: Any) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    name = TextColumn("{task.description}", markup=False)
    return Progress(
        name,
        BarColumn(),
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
