"""Label events, the labels that follow from them, and their text form."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.model.labels import (
    LabelEvent,
    LabelKind,
    Outcome,
    append_text,
    appended,
    dump_events,
    event_id,
    fold,
    is_full,
    load_events,
    load_plain,
    merged,
    stamps_problem,
)

text = st.text(max_size=20)
events = st.builds(
    LabelEvent, st.integers(0, 2**62), text, st.sampled_from(LabelKind), text, text, text, text, text,
    text, st.sampled_from(Outcome), text, text, st.integers(0, 2**62), st.integers(0, 2**62),
)  # fmt: skip


@given(st.lists(events, max_size=5))
def test_events_are_unchanged_after_writing_and_reading(log: list[LabelEvent]) -> None:
    back = load_events(dump_events(log))
    for one, other in zip(log, back):
        if one.kind is not LabelKind.OUTCOME:  # only outcome events have an outcome
            one = LabelEvent(**{**one.__dict__, "outcome": Outcome.UNLABELLED})
            other = LabelEvent(**{**other.__dict__, "outcome": Outcome.UNLABELLED})
        assert one == other
    assert len(log) == len(back)


def test_the_last_outcome_counts_and_annotations_add_up() -> None:
    log = [
        LabelEvent(1, "e", LabelKind.TASK, task="lift", operator_name="ann"),
        LabelEvent(2, "e", LabelKind.OUTCOME, outcome=Outcome.SUCCESS),
        LabelEvent(3, "e", LabelKind.ANNOTATION, name="grasp"),
        LabelEvent(4, "e", LabelKind.OUTCOME, outcome=Outcome.FAILURE, cause="slip"),
        LabelEvent(5, "e", LabelKind.ANNOTATION, name="drop"),
    ]
    now = fold(log)
    assert (now.task, now.operator_name, now.outcome, now.cause) == (
        "lift",
        "ann",
        Outcome.FAILURE,
        "slip",
    )
    assert [a.name for a in now.annotations] == ["grasp", "drop"]


def test_events_with_unknown_keys_are_read() -> None:
    assert (
        load_events('[{"stamp_ns": 1, "kind": "task", "task": "a", "mood": "good"}]')[0].task == "a"
    )


def test_a_retraction_removes_earlier_annotations_of_the_same_segment() -> None:
    def note(name: str, at: int, kind: LabelKind = LabelKind.ANNOTATION) -> LabelEvent:
        return LabelEvent(1, "e", kind, name=name, start_ns=at, end_ns=at + 1)

    log = [note("grasp", 5), note("grasp", 7), note("place", 5), note("grasp", 7)]
    gone = note("grasp", 7, LabelKind.RETRACTION)
    assert [(a.name, a.start_ns) for a in fold([*log, gone]).annotations] == [
        ("grasp", 5), ("place", 5),
    ]  # fmt: skip
    assert fold([*log, note("lift", 7, LabelKind.RETRACTION)]) == fold(log)
    again = fold([*log, gone, note("grasp", 7)]).annotations
    assert [(a.name, a.start_ns) for a in again] == [("grasp", 5), ("place", 5), ("grasp", 7)]


@given(st.lists(events, max_size=8))
def test_an_appended_event_names_what_it_replaces(given: list[LabelEvent]) -> None:
    log = appended([], *given)
    for number, event in enumerate(log):
        before = fold(log[:number])
        expected = {
            LabelKind.TASK: before.task,
            LabelKind.OUTCOME: before.outcome_text,
        }.get(event.kind, "")
        assert event == replace(given[number], previous=expected, stamp_ns=event.stamp_ns)
        later = max((e.stamp_ns + 1 for e in log[:number]), default=0)
        assert event.stamp_ns == max(given[number].stamp_ns, later), "effects come after causes"
    assert fold(log) == fold(appended(log[:3], *given[3:]))


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[list[dict[str, Any]]]]:
    """What two copies shared, and what three of them added, each with a clock of its own."""
    shared = appended([], *draw(st.lists(events, max_size=3)))
    copies = [appended(shared, *draw(st.lists(events, max_size=3))) for _ in range(3)]
    return plain(shared), [plain(copy) for copy in copies]


def plain(log: list[LabelEvent]) -> list[dict[str, Any]]:
    return load_plain(dump_events(log))


@given(histories(), st.permutations([0, 1, 2]))
def test_copies_that_meet_in_any_order_end_alike(
    history: tuple[list[dict[str, Any]], list[list[dict[str, Any]]]], order: list[int]
) -> None:
    shared, copies = history
    whole = merged(*copies)
    a, b, c = (copies[number] for number in order)
    assert merged(merged(a, b), c) == merged(c, merged(b, a), shared) == whole
    assert merged(whole, a) == merged(whole) == whole
    ids = {event_id(e) for copy in copies for e in copy}
    assert {event_id(e) for e in whole} == ids and len(whole) == len(ids)
    for copy in copies:  # what one copy saw happens in the union in the same order
        own = [event_id(e) for e in copy]
        assert [id for id in map(event_id, whole) if id in own] == own


@given(st.lists(events, max_size=5))
def test_a_log_that_met_nobody_stays_as_it_is(given: list[LabelEvent]) -> None:
    log = plain(appended([], *given))
    assert merged(log) == log


def test_a_union_keeps_events_of_newer_versions_and_refuses_invalid_stamps() -> None:
    newer = {"kind": "smell", "stamp_ns": 5, "strength": 3}
    outcome = {"kind": "outcome", "stamp_ns": 9, "outcome": "success"}
    later = {"kind": "outcome", "stamp_ns": 10, "outcome": "failure", "cause": "slip"}
    union = merged([later, newer], [outcome])
    assert union == [newer, {**outcome, "previous": "unlabelled"}, {**later, "previous": "success"}]
    for stamp in ("5", None, 1.5, True, 1 << 63, -(1 << 63) - 1):
        for kind in ("outcome", "smell"):
            with pytest.raises(ValueError, match="stamp_ns"):
                merged([{"kind": kind, "stamp_ns": stamp}])


@given(st.integers(-(2**70), 2**70), st.lists(st.integers(0, 2**62), max_size=3))
def test_no_event_from_elsewhere_takes_the_stamps_of_those_after_it(
    stamp_ns: int, own: list[int]
) -> None:
    log = [outcome_at(ns) for ns in own]
    if stamps_problem(log, [outcome_at(stamp_ns)]):
        assert stamp_ns > 2**62
        return
    try:
        union = load_events(json.dumps(merged(log, [outcome_at(stamp_ns)])))
    except ValueError:
        assert stamp_ns < -(2**63)
        return
    later = [LabelEvent(1, "e", LabelKind.OUTCOME) for _ in range(50)]
    grown = appended(union, *later)
    assert load_events(dump_events(grown)) == grown and not is_full(grown)
    assert not stamps_problem(log, plain(grown)), "all of it may go to other copies"


def outcome_at(stamp_ns: int) -> dict[str, Any]:
    return {"kind": "outcome", "stamp_ns": stamp_ns, "outcome": "success"}


def test_a_log_without_stamps_for_further_events_says_so() -> None:
    last = LabelEvent(2**63 - 2, "e", LabelKind.OUTCOME)
    assert not is_full([last])
    full = appended([last], last)
    assert is_full(full) and load_events(dump_events(full)) == full
    with pytest.raises(ValueError, match="out of range"):
        appended(full, last)


@given(st.lists(events, max_size=5), st.lists(events, max_size=3))
def test_the_current_labels_agree_with_their_definition(
    one: list[LabelEvent], two: list[LabelEvent]
) -> None:
    log = [*one, *two]
    now = fold(log)
    outcomes = [e for e in log if e.kind is LabelKind.OUTCOME]
    tasks = [e for e in log if e.kind is LabelKind.TASK]
    if outcomes:
        assert (now.outcome, now.cause) == (outcomes[-1].outcome, outcomes[-1].cause)
    if tasks:
        assert (now.task, now.operator_name) == (tasks[-1].task, tasks[-1].operator_name)
    kept = [
        e
        for number, e in enumerate(log)
        if e.kind is LabelKind.ANNOTATION
        and not any(
            later.kind is LabelKind.RETRACTION
            and (later.name, later.start_ns, later.end_ns) == (e.name, e.start_ns, e.end_ns)
            for later in log[number:]
        )
    ]
    assert list(now.annotations) == kept


newer = st.one_of(
    st.builds(lambda e, word: {**e.to_dict(), "mood": word}, events, text),
    st.just({"kind": "rating", "stars": 5}),
    st.just({"kind": "outcome", "outcome": "partial", "stamp_ns": 3}),
)


@given(st.lists(newer, max_size=5), st.lists(events, max_size=3))
def test_events_of_a_newer_version_stay_in_the_log(
    old: list[dict], added: list[LabelEvent]
) -> None:
    text = json.dumps(old)
    grown = append_text(text, added)
    assert json.loads(grown)[: len(old)] == old
    understood = [p for p in old if "mood" in p]
    assert len(load_events(grown)) == len(understood) + len(added)
    assert append_text("", added) == dump_events(added)


@pytest.mark.parametrize(
    "text", ["{", "7", "[7]", '{"kind": "task"}', '[{"kind": "task", "task": 7}]',
             '[{"kind": "task", "stamp_ns": "now"}]', '[{"kind": "task", "stamp_ns": 1%s}]' % ("0" * 30)],
)  # fmt: skip
def test_an_invalid_log_is_rejected(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        load_events(text)
