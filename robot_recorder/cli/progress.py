"""A bar where somebody can see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(name: str) -> Iterator[Callable[[str, float], None]]:
    """Gives what is to be told what is done, and the share that is, 0 to 1; the bar is gone afterwards."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task(name, total=1.0)
        yield lambda what, share: bars.update(bar, completed=share, description=f"{what} {name}")
