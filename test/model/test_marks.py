"""Annotations as marks on an episode's own time axis."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.model.labels import LabelEvent, LabelKind, fold
from robot_recorder.model.marks import Mark, marks_of

T0 = 1_700_000_000_000_000_000
S = 1_000_000_000


def annotation(name: str, start_s: int, end_s: int) -> LabelEvent:
    return LabelEvent(
        T0, "e", LabelKind.ANNOTATION, name=name, start_ns=T0 + start_s * S, end_ns=T0 + end_s * S
    )


spans = st.tuples(st.integers(-9, 99), st.integers(-9, 99))


@given(st.lists(spans, max_size=8))
def test_marks_are_in_order_of_time_and_never_end_before_they_start(
    given_: list[tuple[int, int]],
) -> None:
    events = [annotation(f"a{n}", *span) for n, span in enumerate(given_)]
    marks = marks_of(fold(events), T0)
    assert sorted(mark.name for mark in marks) == sorted(event.name for event in events)
    starts = [mark.start_s for mark in marks]
    assert starts == sorted(starts) and all(mark.start_s <= mark.end_s for mark in marks)


def test_segments_and_instants_are_distinguished() -> None:
    reach, touch = marks_of(fold([annotation("touch", 3, 3), annotation("reach", 1, 2)]), T0)
    assert (reach, touch) == (Mark("reach", 1.0, 2.0), Mark("touch", 3.0, 3.0))
    assert touch.is_instant and not reach.is_instant
