"""Losses add up by topic and place, and are reported once."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.model.losses import Dropout, LossLedger, Place

losses = st.builds(
    lambda topic, place, count, start, length: Dropout(topic, place, count, start, start + length),
    st.sampled_from(["/a", "/b"]),
    st.sampled_from(Place),
    st.integers(1, 9),
    st.integers(0, 99),
    st.integers(0, 9),
)


@given(st.lists(losses | st.none(), max_size=30))
def test_every_loss_is_counted_and_reported_once(events: list[Dropout | None]) -> None:
    """None: reports are taken."""
    ledger, told = LossLedger(), []
    for event in [*events, None]:
        if event is None:
            told += ledger.take_reports()
        else:
            ledger.add(event)
    given_ = [event for event in events if event is not None]
    sums: Counter[tuple[str, Place]] = Counter()
    reported: Counter[tuple[str, Place]] = Counter()
    for loss in given_:
        sums[loss.topic, loss.place] += loss.count or 0
    for report in told:
        reported[report.topic, report.place] += report.count or 0
    assert reported == sums and ledger.take_reports() == []
    assert ledger.total() == sum(sums.values())
    for place in Place:
        in_place = sum(n for (_, where), n in sums.items() if where is place)
        assert ledger.total({place}.__contains__) == in_place
        assert ledger.count("/a", place) == sums["/a", place]
    assert ledger.topics == {loss.topic for loss in given_} and ledger.unknown == {}


def test_a_report_spans_all_losses_of_its_topic_and_place() -> None:
    ledger = LossLedger()
    for start, end in ((50, 60), (10, 20), (30, 90)):
        ledger.add(Dropout("/a", Place.RING, 2, start, end))
    assert ledger.take_reports() == [Dropout("/a", Place.RING, 6, 10, 90)]


def test_an_unknown_number_stays_unknown_with_its_first_reason() -> None:
    ledger = LossLedger()
    ledger.add(Dropout("/a", Place.DDS, 3, 0, 1))
    ledger.add(Dropout("/a", Place.DDS, None, 0, 1, "no numbers"))
    ledger.add(Dropout("/a", Place.DDS, None, 0, 1, "another reason"))
    assert ledger.count("/a", Place.DDS) is None and ledger.count("/a", Place.RING) == 0
    assert ledger.unknown == {"/a": "no numbers"} and ledger.total() == 3
    assert [place.text for place in Place] == ["dds", "ring", "queue", "writer", "encoder"]


def test_losses_add_up_and_are_reported_once() -> None:
    ledger = LossLedger()
    ledger.add(Dropout("/a", Place.QUEUE, 3, 10, 20))
    ledger.add(Dropout("/a", Place.QUEUE, 2, 30, 40))
    ledger.add(Dropout("/a", Place.DDS, 7, 5, 6))
    assert ledger.take_reports() == [
        Dropout("/a", Place.QUEUE, 5, 10, 40),
        Dropout("/a", Place.DDS, 7, 5, 6),
    ]
    assert ledger.take_reports() == []
    ledger.add(Dropout("/b", Place.QUEUE, 1, 50, 50))
    assert ledger.count("/a", Place.QUEUE) == 5 and ledger.count("/b", Place.QUEUE) == 1
    assert ledger.total() == 13 and ledger.total(lambda p: p is Place.DDS) == 7
    assert ledger.topics == {"/a", "/b"}
