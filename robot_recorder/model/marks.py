"""Annotations as marks on the time axis of an episode, for all views that draw them."""

from __future__ import annotations

from dataclasses import dataclass

from robot_recorder.model.labels import Labels
from robot_recorder.model.streams import NS_PER_S


@dataclass(frozen=True)
class Mark:
    """A named segment or instant.

    Attributes:
        name: its name.
        start_s, end_s: time since the episode's start, s; equal for an instant; start <= end.
    """

    name: str
    start_s: float
    end_s: float

    @property
    def is_instant(self) -> bool:
        """Return whether it has no duration."""
        return self.start_s == self.end_s


def marks_of(labels: Labels, start_ns: int) -> tuple[Mark, ...]:
    """Return the current annotations of an episode that started at ``start_ns``, in order of time."""
    marks = []
    for event in labels.annotations:
        start_s, end_s = ((at - start_ns) / NS_PER_S for at in (event.start_ns, event.end_ns))
        marks.append(Mark(event.name, start_s, max(start_s, end_s)))
    return tuple(sorted(marks, key=lambda mark: mark.start_s))
