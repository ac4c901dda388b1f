"""Episodes that consist of metadata only, enough for listing and counting."""

from __future__ import annotations

import json
from pathlib import Path

from robot_recorder.bags.metadata import (
    BagSummary,
    build_metadata,
    topic_metadata,
    write_metadata,
)
from robot_recorder.episodes.episode import episode_id
from robot_recorder.episodes.facts import label_facts
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome
from support.samples import T0, wrench_topic

SECOND = 1_000_000_000


def make_episode(
    store: EpisodeStore,
    start_s: float = 0.0,
    seconds: float = 10.0,
    robot: str = "arm",
    task: str = "lift",
    operator: str = "ann",
    outcome: Outcome = Outcome.UNLABELLED,
    cause: str = "",
    verdict: str = "",
    reasons: list[str] | None = None,
    **facts: str,
) -> Path:
    """Make a finished episode as the recorder would.

    Args:
        store: to put it into.
        start_s: after ``T0``.
        facts: further custom_data.
    """
    start_ns = T0 + round(start_s * SECOND)
    stop_ns = start_ns + round(seconds * SECOND)
    id = episode_id(robot, task, start_ns)
    partial = store.new_partial(id)
    partial.mkdir(parents=True)
    id = partial.stem
    (partial / f"{partial.name}_0.mcap").write_bytes(bytes(1000))
    events = [
        LabelEvent(
            start_ns, id, LabelKind.TASK, task=task, instruction="Do.", operator_name=operator
        )
    ]
    if outcome is not Outcome.UNLABELLED:
        events.append(LabelEvent(stop_ns, id, LabelKind.OUTCOME, outcome=outcome, cause=cause))
    facts = {
        "episode_id": id,
        "robot": robot,
        "start_ns": str(start_ns),
        "stop_ns": str(stop_ns),
        **label_facts(events),
        **facts,
    }
    if verdict:
        facts["verdict"] = verdict
        found = [{"check": c, "level": "fail", "figure": 1.0} for c in reasons or []]
        report = {"verdict": verdict, "sentence": "so", "reasons": reasons or [], "findings": found}
        facts.setdefault("quality", json.dumps(report))
    summary = BagSummary(f"{partial.name}_0.mcap", start_ns, stop_ns, [100])
    write_metadata(partial, build_metadata([topic_metadata(wrench_topic())], summary, {}))
    return store.finalise(partial, facts)
