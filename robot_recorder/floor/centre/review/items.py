"""What a reviewer is shown of an episode; of a second opinion the same as of a first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robot_recorder.configuration.tasks import TaskRegistry
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.labelling import LabelledEpisode
from robot_recorder.floor.centre.review.decisions import InspectorJudgement
from robot_recorder.floor.centre.review.policy import ReviewStage
from robot_recorder.floor.centre.review.queue import ClaimedItem
from robot_recorder.model.errors import BagError
from robot_recorder.model.streams import NS_PER_S

_MOST_FINDINGS, _MOST_ANNOTATIONS = 100, 200


def plain_item(
    item: ClaimedItem, episode: Episode, tasks: TaskRegistry, opinions: list[InspectorJudgement]
) -> dict[str, Any]:
    """Return a claimed episode for a page.

    Args:
        item: the claim.
        episode: with the labels that are valid now.
        tasks: registry of the centre.
        opinions: the two that differ; only for who adjudicates.
    """
    episode, _ = episode.readable()
    labels, span = episode.labels, episode.span
    adjudicate = item.stage is ReviewStage.ADJUDICATE
    return {
        "site": item.site,
        "id": item.id,
        "claim": item.claim,
        "until_s": item.until_ns / NS_PER_S,
        "why": item.why.value,
        "adjudicate": adjudicate,
        "robot": episode.facts.get("robot", ""),
        "task": labels.task,
        "instruction": labels.instruction,
        "operator": labels.operator_name,
        "start_s": episode.start_ns / NS_PER_S,
        "duration_s": episode.duration_s,
        "verdict": episode.quality.verdict.text,
        "sentence": episode.quality.sentence,
        "outcome": labels.outcome.text,
        "cause": labels.cause,
        "causes": causes_of(episode, tasks),
        "findings": plain_findings(episode, {}),
        "annotations": [
            {"name": a.name, "start_s": span.seconds(a.start_ns), "end_s": span.seconds(a.end_ns)}
            for a in labels.annotations[:_MOST_ANNOTATIONS]
        ],
        "opinions": [plain_opinion(one) for one in opinions] if adjudicate else [],
    }


def causes_of(episode: Episode, tasks: TaskRegistry) -> list[str]:
    """Return the causes of failure that the episode's task lists; empty: any."""
    task = LabelledEpisode.of(episode).task(tasks)
    return list(task.failure_causes) if task is not None else []


def plain_findings(episode: Episode, times: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return what the checks found, worst first.

    Args:
        episode: with its quality report.
        times: when it happened, s since the start, by ``check stream``, as far as it is known.
    """
    try:
        findings = episode.quality.findings
    except BagError:
        return []
    return [
        {
            "check": f.check, "stream": f.stream, "level": f.level.name.lower(), "sentence": f.sentence,
            "at_s": times.get(f"{f.check} {f.stream}"),
        }
        for f in findings[:_MOST_FINDINGS]
    ]  # fmt: skip


def plain_opinion(said: InspectorJudgement) -> dict[str, Any]:
    """Return a decision without who made it."""
    return {
        "outcome": said.outcome.text, "cause": said.cause, "usable": said.usable,
        "reason": said.reason, "note": said.note,
    }  # fmt: skip
