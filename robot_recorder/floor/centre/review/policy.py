"""Which episodes people review, and why: rejects, reviews, newcomers, a sample of the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path

from robot_recorder.configuration.find import config_directory
from robot_recorder.configuration.yaml_source import YamlMap
from robot_recorder.floor.centre.trends.alarms import DRIFT_LIMITS, DriftLimit
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.text import text_problem
from robot_recorder.quality.verdict import Verdict

FILE = "review.yaml"
REASONS = ("wrong_task", "operator_error", "sensor_broken", "bad_view", "incomplete", "other")
UNUSABLE = "unusable"
CLASSES = (*(o.text for o in (Outcome.SUCCESS, Outcome.FAILURE, Outcome.UNLABELLED)), UNUSABLE)
"""What two inspectors must agree on."""


class ReviewWhy(str, Enum):
    """Why an episode is queued."""

    ASKED = "asked"
    REJECT = "reject"
    NEWCOMER = "newcomer"
    REVIEW = "review"
    SAMPLE = "sample"

    @property
    def priority(self) -> int:
        """Return its place in the queue: lower comes first."""
        return _PRIORITIES[self]


ADJUDICATION_PRIORITY = 1
_PRIORITIES = {
    ReviewWhy.ASKED: 0,
    ReviewWhy.REJECT: 2,
    ReviewWhy.NEWCOMER: 3,
    ReviewWhy.REVIEW: 4,
    ReviewWhy.SAMPLE: 5,
}


class ReviewStage(IntEnum):
    """How far the review of an episode is. The numbers are in the database."""

    FIRST = 1  # waits for the first decision
    SECOND = 2  # waits for a blind second one
    ADJUDICATE = 3  # the two differ: waits for a third inspector
    DONE = 4
    RESTED = 5  # sampled, and a quota of its task is full


@dataclass(frozen=True)
class ReviewPolicy:
    """What is queued and checked; ``config/review.yaml`` says what each means.

    Attributes:
        sample_share, newcomer_first, rejects, reviews, salt, lease_s, second_share, second_days,
        reasons: as in the file.
        sample_shares: other shares, by task.
        drifts: limits of the trends' alarms, by kind.
    """

    sample_share: float = 0.05
    newcomer_first: int = 20
    rejects: bool = True
    reviews: bool = True
    salt: str = "review"
    lease_s: float = 300.0
    second_share: float = 0.1
    second_days: float = 7.0
    reasons: tuple[str, ...] = REASONS
    sample_shares: Mapping[str, float] = field(default_factory=dict)
    drifts: Mapping[str, DriftLimit] = field(default_factory=lambda: DRIFT_LIMITS)

    def why(
        self, site: str, id: str, task: str, verdict: Verdict, newcomer: bool
    ) -> ReviewWhy | None:
        """Return why an episode is queued by itself; None: it is not.

        Args:
            site, id, task, verdict: of the episode.
            newcomer: whether it is one of its operator's first.
        """
        if verdict is Verdict.REJECT and self.rejects:
            return ReviewWhy.REJECT
        if newcomer:
            return ReviewWhy.NEWCOMER
        if verdict is Verdict.REVIEW and self.reviews:
            return ReviewWhy.REVIEW
        share = self.sample_shares.get(task, self.sample_share)
        return ReviewWhy.SAMPLE if fraction(self.salt, site, id) < share else None

    @property
    def digest(self) -> str:
        """Return what changes when other episodes are queued."""
        queued = (
            self.sample_share, self.newcomer_first, self.rejects, self.reviews, self.salt,
            sorted(self.sample_shares.items()),
        )  # fmt: skip
        return hashlib.sha256(repr(queued).encode()).hexdigest()

    def needs_second(self, site: str, id: str) -> bool:
        """Tell whether a second inspector judges an episode as well."""
        return fraction(f"{self.salt} second", site, id) < self.second_share


def fraction(salt: str, site: str, id: str) -> float:
    """Return a number from 0 to below 1 that follows from an episode alone, evenly spread.

    Restarts and replicas agree about it.
    """
    text = "\0".join((salt, site, id)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:6], "big") / 2**48


def retry_pause_ns(tries: int) -> int:
    """Return how long to wait before what failed that often is tried again, ns: at most an hour."""
    return min(3600, 1 << min(tries, 12)) * NS_PER_S


def decision_class(outcome: Outcome, usable: bool) -> str:
    """Return the class of a decision, one of ``CLASSES``."""
    return outcome.text if usable else UNUSABLE


def load_policy(path: Path | None = None) -> ReviewPolicy:
    """Read a policy.

    Args:
        path: of the file; None: the shipped one.

    Raises:
        ConfigError: it cannot be read or is invalid; the message names file, line and the fix.
    """
    path = config_directory() / FILE if path is None else path
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}") from error
    return parse_policy(text, str(path))


_SHARES = ("sample_share", "second_share")
_KEYS = (*_SHARES, "newcomer_first", "rejects", "reviews", "salt", "lease_s", "second_days",
         "reasons", "tasks", "trends")  # fmt: skip


def parse_policy(text: str, source: str = FILE) -> ReviewPolicy:
    """Read a policy from YAML; what is left out is as in ``ReviewPolicy()``.

    Raises:
        ConfigError: it is invalid; the message names line and the fix.
    """
    top, standard = YamlMap.parse(text, source), ReviewPolicy()
    top.allow(_KEYS)
    first = top.number("newcomer_first", standard.newcomer_first, above=-1, most=1000) or 0
    if first != int(first):
        top.fail_at("newcomer_first", f"expected a whole number, got {first:g}")
    reasons = top.texts("reasons") or standard.reasons
    for reason in reasons:
        if problem := text_problem("cause", reason, "a reason"):
            top.fail_at("reasons", problem)
    return ReviewPolicy(
        _share(top, "sample_share", standard.sample_share),
        int(first),
        top.flag("rejects", standard.rejects),
        top.flag("reviews", standard.reviews),
        top.text("salt", standard.salt),
        top.number("lease_s", standard.lease_s, above=9, most=86_400) or standard.lease_s,
        _share(top, "second_share", standard.second_share),
        top.number("second_days", standard.second_days, above=0, most=365) or standard.second_days,
        reasons,
        _task_shares(top, standard.sample_share),
        _drifts(top),
    )


def _share(entry: YamlMap, key: str, default: float) -> float:
    share = entry.number(key, default, most=1)
    assert share is not None  # there is a default
    if share < 0:
        entry.fail_at(key, f"must be from 0 to 1, got {share:g}")
    return share


def _task_shares(top: YamlMap, default: float) -> dict[str, float]:
    shares = {}
    for task, entry in top.map("tasks").items() if "tasks" in top else ():
        entry.allow(("sample_share",))
        shares[task] = _share(entry, "sample_share", default)
    return shares


def _drifts(top: YamlMap) -> dict[str, DriftLimit]:
    found = dict(DRIFT_LIMITS)
    if "trends" not in top:
        return found
    trends = top.map("trends")
    trends.allow(DRIFT_LIMITS)
    for kind, entry in trends.items():
        entry.allow(("week", "level"))
        known = DRIFT_LIMITS[kind]
        week = entry.number("week", known.week, above=0)
        level = entry.number("level", known.level, above=0)
        found[kind] = DriftLimit(week, level)
    return found
