"""The facts of an episode: text values in ``custom_data`` of its ``metadata.yaml``.

docs/episodes.md lists the keys. Only ``Episode`` parses them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from robot_recorder.model.labels import LabelEvent, LabelKind, dump_events, fold
from robot_recorder.quality.verdict import QualityReport, Verdict

if TYPE_CHECKING:
    from robot_recorder.alignment.certificate import Certificate


def label_facts(events: list[LabelEvent]) -> dict[str, str]:
    """Return the custom_data entries of a log of label events."""
    now = fold(events)
    facts = {"outcome": now.outcome.text, "cause": now.cause, "labels": dump_events(events)}
    if any(
        event.kind is LabelKind.TASK for event in events
    ):  # otherwise keep what another recorder wrote
        facts["task"], facts["instruction"] = now.task, now.instruction
        facts["operator"] = now.operator_name
    return facts


def quality_facts(report: QualityReport) -> dict[str, str]:
    """Return the custom_data entries of a quality report; empty: nothing was checked."""
    if report.verdict is not Verdict.UNKNOWN:
        return {"verdict": report.verdict.text, "quality": json.dumps(report.to_dict())}
    return {"quality": json.dumps(report.to_dict())} if report.broken else {}


def incompleteness(facts: dict[str, str]) -> tuple[str, bool]:
    """Return why an episode is incomplete (empty: it is complete), and whether data is lost."""
    if facts.get("error"):
        return f"was aborted: {facts['error']}", True
    if facts.get("recovered") == "true":
        return "was recovered after its recorder had crashed: its last second may be missing", False
    reason = facts.get("stop_reason", "request")
    return ("" if reason == "request" else f"was ended by {reason.replace('_', ' ')}"), False


def lost_of(stream: dict[str, Any]) -> tuple[int | None, str]:
    """Return the sum of a topic's losses (None: not fully known), and why it is unknown.

    Args:
        stream: the topic's entry in the fact ``streams``.
    """
    by_place, why = stream.get("lost"), str(stream.get("unknown", ""))
    if not isinstance(by_place, dict) or not all(isinstance(n, int) for n in by_place.values()):
        return None, why
    return sum(by_place.values()), why


def encoded_topics(facts: Mapping[str, str]) -> frozenset[str]:
    """Return the topics whose messages were encoded by the recorder; empty if that is unreadable."""
    try:
        note = json.loads(facts.get("encoded", "{}"))
    except ValueError:
        return frozenset()
    return frozenset(note) if isinstance(note, dict) else frozenset()


def sync_facts(certificate: Certificate) -> dict[str, str]:
    """Return the custom_data entries of a sync certificate."""
    return {"sync": json.dumps(certificate.to_dict())}
