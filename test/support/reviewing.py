"""A floor on paper: episodes that are metadata only, a clock that is set, and a queue over them."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from robot_recorder.catalogue.entry import Entry
from robot_recorder.configuration.tasks import TaskRegistry, parse_tasks
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.facts import label_facts
from robot_recorder.episodes.labelling import LabelledEpisode, decide
from robot_recorder.floor.centre.database.database import Database
from robot_recorder.floor.centre.review.decisions import InspectorJudgement
from robot_recorder.floor.centre.review.decisions import decide as decide_review
from robot_recorder.floor.centre.review.policy import ReviewPolicy
from robot_recorder.floor.centre.review.queue import QueueFilter, Reviews
from robot_recorder.model.check_result import Level, Result
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import LabelEvent, LabelKind, Labels, Outcome
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.verdict import QualityReport, Verdict
from support.catalogued import make_base
from support.samples import T0

DAY_NS = 86_400 * NS_PER_S
SITE = "berlin"
EVERYTHING = ReviewPolicy(sample_share=1.0, second_share=0.0, newcomer_first=0)
ALL_BLIND = replace(EVERYTHING, second_share=1.0)
GOOD = InspectorJudgement(Outcome.SUCCESS)
BAD = InspectorJudgement(Outcome.FAILURE, "slip")
USELESS = InspectorJudgement(Outcome.SUCCESS, "", False, "bad_view", "the lens is dirty")
TASKS = "tasks:\n  pick:\n    instruction: Pick it up\n    failure_causes: [slip, drop]\n"


@dataclass
class SetClock:
    """A clock that stands until it is set."""

    now_ns: int = T0 + 10 * DAY_NS

    def __call__(self) -> int:
        return self.now_ns

    def pass_s(self, seconds: float) -> None:
        self.now_ns += round(seconds * NS_PER_S)


def entry(id: str, start_ns: int = T0, verdict: Verdict = Verdict.ACCEPT, **more: Any) -> Entry:
    """Return the entry of an episode."""
    plain = {"task": "pick", "robot": "r1", "operator": "", "outcome": Outcome.SUCCESS, **more}
    base = make_base(Path(SITE))
    return replace(
        base, name=id, id=id, start_ns=start_ns, duration_ms=5000, verdict=verdict, **plain
    )


def episode(one: Entry, report: QualityReport | None = None, sync: Mapping[str, Any] | None = None,
            version: str = "1.0", events: Sequence[LabelEvent] = ()) -> Episode:  # fmt: skip
    """Return the episode that an entry could be of."""
    log = [
        LabelEvent(one.start_ns, one.id, LabelKind.TASK, by="shift", task=one.task,
                   instruction="Pick it up", operator_name=one.operator),
        LabelEvent(one.start_ns + 1, one.id, LabelKind.OUTCOME, by="operator", outcome=one.outcome,
                   cause=one.cause),
        *events,
    ]  # fmt: skip
    report = report or QualityReport(one.verdict, one.verdict.text)
    custom = {
        "episode_id": one.id, "robot": one.robot, "start_ns": str(one.start_ns),
        "stop_ns": str(one.stop_ns), "robot_recorder": version, "verdict": one.verdict.text,
        "quality": json.dumps(report.to_dict()), **label_facts(log),
    }  # fmt: skip
    if sync is not None:
        custom["sync"] = json.dumps({"streams": sync})
    return Episode(
        Path(SITE) / one.id,
        {
            "starting_time": {"nanoseconds_since_epoch": one.start_ns},
            "duration": {"nanoseconds": one.stop_ns - one.start_ns},
            "topics_with_message_count": [],
            "message_count": 0,
            "custom_data": custom,
        },
    )


def finding(check: str, stream: str, figure: float, level: Level = Level.PASS) -> Result:
    """Return a result of a check."""
    return Result(check, stream, level, figure, None, "", f"{check} {figure}")


@dataclass
class PaperFloor:
    """A floor whose episodes are kept in memory, labelled by the rules, told to a queue."""

    reviews: Reviews
    episodes: dict[tuple[str, str], Episode] = field(default_factory=dict)
    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    tasks: TaskRegistry = field(default_factory=lambda: parse_tasks(TASKS))
    broken: dict[str, Exception] = field(default_factory=dict)
    crash_after: threading.Event = field(default_factory=threading.Event)

    def arrive(self, one: Entry, site: str = SITE, **more: Any) -> Episode:
        """Take an episode in, as the centre does."""
        made = episode(one, **more)
        self.episodes[site, one.id], self.entries[site, one.id] = made, one
        with self.reviews.db.transaction() as tx:
            self.reviews.on_episode(tx, site, made, one)
        return made

    def spoil(self, id: str, **facts: str) -> None:
        """Let an episode have odd facts, as one of an older centre may."""
        old = self.episode(SITE, id)
        metadata = {**old.metadata, "custom_data": {**old.metadata["custom_data"], **facts}}
        self.episodes[SITE, id] = Episode(old.path, metadata)

    def episode(self, site: str, id: str) -> Episode:
        """Return an episode."""
        if (site, id) not in self.episodes:
            raise BagError(f"{id} of {site} is unknown")
        return self.episodes[site, id]

    def relabel(
        self, site: str, id: str, asked: Sequence[LabelEvent], by: str, registry_rules: bool = False
    ) -> list[LabelEvent]:
        """Append labels."""
        if id in self.broken:
            raise self.broken[id]
        old = self.episode(site, id)
        asked = [replace(one, by=by) for one in asked]
        taken = decide(asked, LabelledEpisode.of(old), self.tasks, self.reviews.clock())
        custom = {**old.facts, **label_facts([*old.events, *taken])}
        self.episodes[site, id] = Episode(old.path, {**old.metadata, "custom_data": custom})
        if self.crash_after.is_set():
            raise KeyboardInterrupt  # what no handler takes: the process ends here
        return taken

    def labels(self, id: str, site: str = SITE) -> Labels:
        """Return the labels of an episode that are valid now."""
        return self.episode(site, id).labels

    def names(self, id: str, site: str = SITE) -> list[str]:
        """Return the names of its annotations."""
        return [a.name for a in self.labels(id, site).annotations]


def queue(db: Database, policy: ReviewPolicy = EVERYTHING) -> tuple[Reviews, SetClock, PaperFloor]:
    """Return a queue, its clock and a floor."""
    clock = SetClock()
    reviews = Reviews(db, policy, clock)
    return reviews, clock, PaperFloor(reviews)


def review_next(
    reviews: Reviews,
    user: str,
    said: InspectorJudgement = GOOD,
    wanted: QueueFilter = QueueFilter(),  # noqa: B008
) -> Any:
    """Claim the next episode and decide about it; None: there is none."""
    items = reviews.next(user, 1, wanted)
    if not items:
        return None
    one = items[0]
    return decide_review(reviews, user, one.site, one.id, one.claim, said)
