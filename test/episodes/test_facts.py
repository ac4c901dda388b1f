"""Facts of an episode: what is written into custom_data, and what it means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from robot_recorder.alignment.certificate import Certificate
from robot_recorder.episodes.facts import (
    encoded_topics,
    incompleteness,
    label_facts,
    lost_of,
    quality_facts,
    sync_facts,
)
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome, load_events
from robot_recorder.quality.verdict import UNCHECKED, QualityReport, Verdict, unchecked

OUTCOME = LabelEvent(2, "e", LabelKind.OUTCOME, outcome=Outcome.FAILURE, cause="slip")
TASK = LabelEvent(1, "e", LabelKind.TASK, task="lift", instruction="Lift it.", operator_name="ann")


def test_labels_are_facts_and_a_task_only_if_one_was_given() -> None:
    facts = label_facts([OUTCOME])
    assert set(facts) == {"outcome", "cause", "labels"}, "another recorder's task stays"
    assert (facts["outcome"], facts["cause"]) == ("failure", "slip")
    facts = label_facts([TASK, OUTCOME])
    assert (facts["task"], facts["instruction"], facts["operator"]) == ("lift", "Lift it.", "ann")
    assert load_events(facts["labels"]) == [TASK, OUTCOME]


def test_a_report_that_says_nothing_leaves_no_facts() -> None:
    assert quality_facts(UNCHECKED) == {}
    failed = quality_facts(unchecked(KeyError("no such sensor")))
    assert set(failed) == {"quality"} and "no such sensor" in failed["quality"]
    good = quality_facts(QualityReport(Verdict.ACCEPT, "accept: no problems found"))
    assert good["verdict"] == "accept"
    assert QualityReport.from_dict(json.loads(good["quality"])).verdict is Verdict.ACCEPT
    certificate = Certificate.from_dict({"frames": 3, "complete": 2})
    assert Certificate.from_dict(json.loads(sync_facts(certificate)["sync"])) == certificate


@pytest.mark.parametrize(
    ("facts", "words", "lost"),
    [
        ({}, "", False),
        ({"stop_reason": "request"}, "", False),
        ({"stop_reason": "max_length"}, "was ended by max length", False),
        ({"recovered": "true"}, "was recovered after its recorder had crashed", False),
        ({"error": "the disk is full", "recovered": "true"}, "was aborted: the disk is full", True),
    ],
)
def test_why_an_episode_is_incomplete(facts: dict[str, str], words: str, lost: bool) -> None:
    why, data_lost = incompleteness(facts)
    assert why.startswith(words) and bool(why) == bool(words) and data_lost is lost


@pytest.mark.parametrize(
    ("stream", "lost"),
    [
        ({"lost": {"dds": 1, "queue": 2}}, (3, "")),
        ({"lost": {}}, (0, "")),
        ({"lost": {"dds": None, "queue": 2}, "unknown": "not numbered"}, (None, "not numbered")),
        ({}, (None, "")),
        ({"lost": 5}, (None, "")),
    ],
)
def test_losses_are_a_sum_or_unknown_with_the_reason(
    stream: dict[str, Any], lost: tuple[int | None, str]
) -> None:
    assert lost_of(stream) == lost


@pytest.mark.parametrize(
    ("text", "topics"),
    [('{"/a/compressed": {"topic": "/a"}}', {"/a/compressed"}), ("{}", set()), ("[1]", set()), ("{", set())],
)  # fmt: skip
def test_encoded_topics_are_read_from_their_note(text: str, topics: set[str]) -> None:
    assert encoded_topics({"encoded": text}) == topics and encoded_topics({}) == frozenset()
