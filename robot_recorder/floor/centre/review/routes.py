"""Routes: the queue of reviews, claims, decisions, undo, agreement, recalls, quotas."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi import Query as Parameter
from pydantic import Field

from robot_recorder.configuration.users import UserRole
from robot_recorder.episodes.label_rules import check_outcome
from robot_recorder.episodes.labelling import LabelledEpisode
from robot_recorder.floor.centre.database.database import DatabaseError
from robot_recorder.floor.centre.desk import CentreDesk
from robot_recorder.floor.centre.review.decisions import (
    InspectorJudgement,
    ReviewDecision,
    decide,
    floor_agreement,
    history,
    numbers_of,
    opinions,
    undo,
)
from robot_recorder.floor.centre.review.items import plain_item, plain_opinion
from robot_recorder.floor.centre.review.policy import CLASSES, ReviewStage, ReviewWhy
from robot_recorder.floor.centre.review.queue import (
    MOST_AT_ONCE,
    ClaimedItem,
    QueueFilter,
    ReviewConflict,
)
from robot_recorder.floor.centre.review.quotas import (
    MOST_TARGET,
    QuotaPeriod,
    QuotaScope,
    quotas,
    set_quota,
)
from robot_recorder.floor.centre.review.recalls import (
    COUNTED,
    BatchRecall,
    RecallFilter,
    all_recalls,
    matching,
    recall,
    undo_recall,
)
from robot_recorder.floor.centre.review.work import label_problems
from robot_recorder.floor.storage.port import StorageError
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.text import text_problem
from robot_recorder.web.access import Right, User
from robot_recorder.web.replies import Refused, RequestBody

_LOGGER = logging.getLogger(__name__)
ANYBODY = "local"  # who reviews where nobody has to log in
_LATEST_NS = 1 << 62
_Name = Annotated[str, Field(max_length=255)]
_Asked = Annotated[str, Parameter(max_length=255)]
_Claim = Annotated[str, Field(min_length=1, max_length=64)]


class NextReviews(RequestBody):
    """How many episodes to claim, and which."""

    count: Annotated[int, Field(ge=1, le=MOST_AT_ONCE)] = 1
    site: _Name = ""
    task: _Name = ""
    why: Literal["", "asked", "reject", "newcomer", "review", "sample"] = ""


class KeepClaims(RequestBody):
    """Claims to extend."""

    claims: Annotated[list[_Claim], Field(max_length=20)]


class ReleaseClaim(RequestBody):
    """A claim to give back."""

    claim: _Claim
    skip: bool = False


class ReviewSaid(RequestBody):
    """A decision about a claimed episode."""

    site: _Name
    id: _Name
    claim: _Claim
    outcome: Literal["success", "failure", "unlabelled"]
    cause: str = ""
    usable: bool = True
    reason: str = ""
    note: str = ""


class UndoReview(RequestBody):
    """Which decision to undo; none: the own newest one."""

    decision: Annotated[int, Field(ge=1, lt=1 << 62)] | None = None


class AskReview(RequestBody):
    """Episodes to put at the front."""

    site: _Name
    ids: Annotated[list[_Name], Field(min_length=1, max_length=200)]
    note: str = ""


class RecallWanted(RequestBody):
    """Which episodes a recall takes."""

    site: _Name = ""
    robot: _Name = ""
    operator: _Name = ""
    task: _Name = ""
    version: _Name = ""
    since: Annotated[str, Field(max_length=40)] = ""
    until: Annotated[str, Field(max_length=40)] = ""


class RecallAsked(RequestBody):
    """A recall, or a count of what it would take."""

    reason: Annotated[str, Field(max_length=1000)] = ""
    filter: RecallWanted
    dry: bool = False


class RecallUndone(RequestBody):
    """A recall to take back."""

    recall: Annotated[int, Field(ge=1, lt=1 << 62)]
    reason: Annotated[str, Field(max_length=1000)] = ""


class QuotaSet(RequestBody):
    """A quota; target 0 removes it."""

    site: _Name = ""
    task: Annotated[str, Field(min_length=1, max_length=64)]
    per: Literal["day", "all"] = "all"
    target: Annotated[int, Field(ge=0, le=MOST_TARGET)]


class ReviewCounter:
    """Answers the requests of reviewers, in a thread each."""

    def __init__(self, desk: CentreDesk) -> None:
        """Use a desk with its queue."""
        self._desk = desk
        self._reviews = desk.reviews

    def next(self, user: str, body: NextReviews) -> dict[str, Any]:
        """Claim the next episodes and say what is known of them."""
        wanted = QueueFilter(body.site, body.task, ReviewWhy(body.why) if body.why else None)
        for _ in range(10):
            items = self._reviews.next(user, body.count, wanted)
            told, gone, passed = [], [], False
            for item in items:
                try:
                    told.append(self._shown(item))
                except BagError:
                    gone.append(item)
                except (DatabaseError, StorageError):
                    raise  # for all of them
                except Exception as error:  # of an odd episode; the others must not wait behind it
                    _LOGGER.error("%s of %s cannot be shown", item.id, item.site, exc_info=error)
                    with suppress(ReviewConflict):
                        self._reviews.release(user, item.claim, skip=True)
                    passed = True
            if not gone and (told or not passed):
                break
            with self._reviews.db.transaction() as tx:
                for item in gone:  # removed since
                    self._reviews.on_removed(tx, item.site, item.id)
        return {"ok": True, "lease_s": self._reviews.policy.lease_s, "items": told}

    def _shown(self, item: ClaimedItem) -> dict[str, Any]:
        """Return a claimed episode for a page."""
        adjudicates = item.stage is ReviewStage.ADJUDICATE
        differing = opinions(self._reviews.db, item.site, item.id) if adjudicates else []
        episode = self._desk.episode(item.site, item.id)
        return plain_item(item, episode, self._desk.tasks, differing)

    def release(self, user: str, body: ReleaseClaim) -> dict[str, Any]:
        """Give a claimed episode back."""
        self._reviews.release(user, body.claim, body.skip)
        return {"ok": True}

    def decide(self, user: User, body: ReviewSaid) -> dict[str, Any]:
        """Take a decision."""
        said = self._judgement(body)
        who = name_of(user)
        made = decide(self._reviews, who, body.site, body.id, body.claim, said)
        self._reviews.woken.set()
        return {
            "ok": True,
            "decision": made.serial,
            "stage": stage_text(made, user),
            "message": f"{body.id}: {said.category}",
        }

    def _judgement(self, body: ReviewSaid) -> InspectorJudgement:
        """Return a decision that can be labelled.

        Raises:
            Refused: it is invalid (422), or the episode is unknown (404).
        """
        outcome = Outcome[body.outcome.upper()]
        texts = (
            ("cause", body.cause, "cause"),
            ("cause", body.reason, "reason"),
            ("note", body.note, "note"),
        )
        problem = next(filter(None, (text_problem(*text) for text in texts)), "")
        if not problem and not body.usable and not body.reason.strip():
            problem = "an episode that cannot be used needs a reason"
        if not problem and body.usable and body.reason:
            problem = "only an episode that cannot be used has a reason: leave it empty"
        if problem:
            raise Refused(422, problem)
        try:
            episode = self._desk.episode(body.site, body.id)
        except BagError as error:
            raise Refused(404, str(error)) from error
        readable, _ = episode.readable()  # as it was shown
        task = LabelledEpisode.of(readable).task(self._desk.tasks)
        answer = check_outcome(outcome, body.cause, task)
        if not answer.ok:
            raise Refused(422, answer.reason)
        return InspectorJudgement(outcome, body.cause, body.usable, body.reason.strip(), body.note)

    def undo(self, user: User, body: UndoReview) -> dict[str, Any]:
        """Undo a decision."""
        done = undo(self._reviews, name_of(user), is_admin(user), body.decision)
        self._reviews.woken.set()
        old = done.decision
        return {
            "ok": True, "decision": old.serial, "site": old.site, "id": old.id, "claim": done.claim,
            "message": f"undone: {old.id} was {old.judgement.category}",
        }  # fmt: skip

    def ask(self, body: AskReview) -> dict[str, Any]:
        """Put episodes at the front of the queue."""
        found, unknown = [], []
        for id in dict.fromkeys(body.ids):
            entry = self._desk.catalogue.get(body.site, id)
            if entry is None:
                unknown.append(id)
            else:
                found.append(entry)
        self._reviews.ask(body.site, found)
        return {"ok": True, "asked": len(found), "unknown": unknown}

    def queue(self, user: str, site: str, task: str) -> dict[str, Any]:
        """Return what waits, and what the user has done."""
        counts = self._reviews.counts(QueueFilter(site, task))
        today, all_of_them = numbers_of(self._reviews.db, user, self._reviews.clock())
        newest = [d for d in history(self._reviews.db, user, limit=20) if not d.undone][:1]
        policy = self._reviews.policy
        return {
            "ok": True,
            "open": sum(counts.by_why.values()),
            "claimed": counts.claimed,
            "second": counts.by_stage[ReviewStage.SECOND],
            "adjudicate": counts.by_stage[ReviewStage.ADJUDICATE],
            "rested": counts.by_stage[ReviewStage.RESTED],
            "by_why": counts.by_why,
            "by_task": counts.by_task,
            "by_site": counts.by_site,
            "oldest_s": None if counts.oldest_ns is None else counts.oldest_ns / NS_PER_S,
            "mine": {
                "today": today,
                "all": all_of_them,
                "last": plain_decision(newest[0]) if newest else None,
            },
            "problems": label_problems(self._reviews),
            "reasons": list(policy.reasons),
            "policy": {
                "sample_share": policy.sample_share, "newcomer_first": policy.newcomer_first,
                "second_share": policy.second_share, "lease_s": policy.lease_s,
            },
        }  # fmt: skip

    def agreement(self, user: User, since: str) -> dict[str, Any]:
        """Return how well inspectors agree; an inspector sees their own pairs."""
        found = floor_agreement(self._reviews.db, moment_ns(since) or 0)
        name, sees_all = name_of(user), is_admin(user)
        return {
            "ok": True,
            "pairs": [
                {"first": pair.first, "second": pair.second, **pair.agreement.to_dict()}
                for pair in found.pairs
                if sees_all or name in (pair.first, pair.second)
            ],
            "inspectors": [
                {"name": one, **agreement.to_dict()}
                for one, agreement in found.inspectors.items()
                if sees_all or one == name
            ],
            "all": found.whole.to_dict(),
            "classes": list(CLASSES),
            "confusion": found.table,
        }

    def recall(self, user: str, body: RecallAsked) -> dict[str, Any]:
        """Begin a recall, or count what it would take."""
        wanted = body.filter
        filter = RecallFilter(
            wanted.site, wanted.robot, wanted.operator, wanted.task, wanted.version,
            moment_ns(wanted.since), moment_ns(wanted.until),
        )  # fmt: skip
        if problem := text_problem("note", body.reason, "the reason"):
            raise Refused(422, problem)
        if body.dry:
            if filter.is_empty:
                raise Refused(422, "a recall without a condition would take everything: give one")
            count = matching(self._reviews.db, filter)
            return {"ok": True, "count": count, "capped": count > COUNTED}
        serial = recall(self._reviews.db, filter, body.reason, user, self._reviews.clock())
        self._reviews.woken.set()
        return {"ok": True, "recall": serial, "message": f"recall {serial} has begun"}

    def undo_recall(self, user: str, body: RecallUndone) -> dict[str, Any]:
        """Begin to take a recall back."""
        if problem := text_problem("note", body.reason, "the reason"):
            raise Refused(422, problem)
        undo_recall(self._reviews.db, body.recall, body.reason, user, self._reviews.clock())
        self._reviews.woken.set()
        return {"ok": True, "message": f"recall {body.recall} is being undone"}

    def set_quota(self, user: str, body: QuotaSet) -> dict[str, Any]:
        """Set or remove a quota."""
        for field, text in (("task", body.task), ("robot", body.site)):
            if problem := text_problem(field, text, "the quota"):
                raise Refused(422, problem)
        scope = QuotaScope(body.site, body.task, QuotaPeriod(body.per))
        now_ns = self._reviews.clock()
        return {"ok": True, "quota": set_quota(self._reviews.db, scope, body.target, user, now_ns)}


def name_of(user: User) -> str:
    """Return the name under which somebody reviews."""
    return user.name or ANYBODY


def is_admin(user: User) -> bool:
    """Tell whether somebody sees and undoes what others decided."""
    return user.role is UserRole.ADMIN


def stage_text(made: ReviewDecision, user: User) -> str:
    """Return what followed a decision; to inspectors the same always, as seconds are blind."""
    return (made.next_stage if is_admin(user) else ReviewStage.DONE).name.lower()


def plain_decision(made: ReviewDecision) -> dict[str, Any]:
    """Return a decision as plain values for JSON."""
    return {
        "decision": made.serial, "site": made.site, "id": made.id, "by": made.by,
        "at_s": made.at_ns / NS_PER_S, "stage": int(made.stage), **plain_opinion(made.judgement),
        "undone": made.undone,
    }  # fmt: skip


def moment_ns(text: str) -> int | None:
    """Return a day or time such as 2026-01-31 or 2026-01-31T12:00, UTC unless it says otherwise, ns.

    Raises:
        Refused: it is neither (422).
    """
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)
        at_ns = round(at.timestamp()) * NS_PER_S
    except (ValueError, OverflowError) as error:
        raise Refused(422, f"'{text}' is not a day such as 2026-01-31") from error
    if not 0 <= at_ns < _LATEST_NS:
        raise Refused(422, f"'{text}' is no day of a recording")
    return at_ns


def plain_recall(one: BatchRecall) -> dict[str, Any]:
    """Return a recall as plain values for JSON."""
    filter: dict[str, Any] = dict(one.filter.__dict__)
    for key in ("since", "until"):
        limit_ns = filter.pop(f"{key}_ns")
        moment = (
            None if limit_ns is None else datetime.fromtimestamp(limit_ns / NS_PER_S, timezone.utc)
        )
        filter[key] = "" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%S}Z"
    return {
        "recall": one.serial, "reason": one.reason, "filter": filter, "by": one.by,
        "at_s": one.at_ns / NS_PER_S, "state": one.state.value, "found": one.found,
        "done": one.done, "failed": one.failed, "problem": one.problem,
        "undone_by": one.undone_by, "undone_reason": one.undone_reason,
    }  # fmt: skip


def _answered(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Call what may be refused."""
    try:
        return work(*arguments)
    except ReviewConflict as error:
        raise Refused(409, str(error)) from error
    except ConfigError as error:
        raise Refused(422, str(error)) from error


def routes(desk: CentreDesk) -> APIRouter:
    """Return the routes of this file."""
    router, counter = APIRouter(), ReviewCounter(desk)
    reviews = desk.reviews
    _claim_routes(router, desk, counter)
    _batch_routes(router, desk, counter)

    @router.post("/api/review/undo")
    async def undo_one(request: Request, body: UndoReview) -> dict[str, Any]:
        user = desk.user(request, Right.REVIEW)
        answer = await desk.run(_answered, counter.undo, user, body)
        desk.note(request, user, f"undo review {answer['id']}", body, answer)
        return answer

    @router.post("/api/review/ask")
    async def ask(request: Request, body: AskReview) -> dict[str, Any]:
        user = desk.user(request, Right.REVIEW)
        answer = await desk.run(_answered, counter.ask, body)
        desk.note(request, user, f"ask for {answer['asked']} reviews", body, answer)
        return answer

    @router.get("/api/review/queue")
    async def queue(request: Request, site: _Asked = "", task: _Asked = "") -> dict[str, Any]:
        user = desk.user(request, Right.REVIEW)
        return await desk.run(counter.queue, name_of(user), site, task)

    @router.get("/api/review/history")
    async def decisions(
        request: Request, site: _Asked = "", id: _Asked = "",
        limit: Annotated[int, Parameter(ge=1, le=500)] = 50,
    ) -> dict[str, Any]:  # fmt: skip
        user = desk.user(request, Right.REVIEW)
        by = None if is_admin(user) else name_of(user)
        found = await desk.run(history, reviews.db, by, site, id, limit)
        return {"ok": True, "decisions": [plain_decision(one) for one in found]}

    @router.get("/api/review/agreement")
    async def agreement(request: Request, since: _Asked = "") -> dict[str, Any]:
        user = desk.user(request, Right.REVIEW)
        return await desk.run(counter.agreement, user, since)

    return router


def _claim_routes(router: APIRouter, desk: CentreDesk, counter: ReviewCounter) -> None:
    reviews = desk.reviews

    @router.post("/api/review/next")
    async def next_ones(request: Request, body: NextReviews) -> dict[str, Any]:
        user = desk.user(request, Right.REVIEW)
        return await desk.run(_answered, counter.next, name_of(user), body, slow=True)

    @router.post("/api/review/keep")
    async def keep(request: Request, body: KeepClaims) -> dict[str, Any]:
        user = desk.user(request, Right.REVIEW)
        until_ns, lost = await desk.run(reviews.keep, name_of(user), body.claims)
        return {"ok": True, "until_s": until_ns / NS_PER_S, "lost": lost}

    @router.post("/api/review/release")
    async def release(request: Request, body: ReleaseClaim) -> dict[str, Any]:
        user = desk.user(request, Right.REVIEW)
        return await desk.run(_answered, counter.release, name_of(user), body)

    @router.post("/api/review/decide")
    async def decision(request: Request, body: ReviewSaid) -> dict[str, Any]:
        user = desk.user(request, Right.REVIEW)
        answer = await desk.run(_answered, counter.decide, user, body, slow=True)
        desk.note(request, user, f"review {body.id}", body, answer)
        return answer


def _batch_routes(router: APIRouter, desk: CentreDesk, counter: ReviewCounter) -> None:
    reviews = desk.reviews

    @router.post("/api/review/recall")
    async def recall_some(request: Request, body: RecallAsked) -> dict[str, Any]:
        user = desk.user(request, Right.REVIEW)
        answer = await desk.run(_answered, counter.recall, name_of(user), body)
        if not body.dry:
            desk.note(request, user, f"recall {answer['recall']}", body, answer)
        return answer

    @router.get("/api/review/recall")
    async def recalls(request: Request) -> dict[str, Any]:
        desk.user(request, Right.REVIEW)
        found = await desk.run(all_recalls, reviews.db)
        return {"ok": True, "recalls": [plain_recall(one) for one in found]}

    @router.post("/api/review/recall/undo")
    async def undo_some(request: Request, body: RecallUndone) -> dict[str, Any]:
        user = desk.user(request, Right.REVIEW)
        answer = await desk.run(_answered, counter.undo_recall, name_of(user), body)
        desk.note(request, user, f"undo recall {body.recall}", body, answer)
        return answer

    @router.get("/api/review/quotas")
    async def all_quotas(request: Request) -> dict[str, Any]:
        desk.user(request, Right.REVIEW)
        found = await desk.run(quotas, reviews.db, reviews.clock())
        return {"ok": True, "quotas": [one.to_dict() for one in found]}

    @router.post("/api/review/quotas")
    async def quota(request: Request, body: QuotaSet) -> dict[str, Any]:
        user = desk.user(request, Right.REVIEW)
        if not is_admin(user):
            raise Refused(403, "only an admin sets quotas")
        answer = await desk.run(_answered, counter.set_quota, name_of(user), body)
        desk.note(request, user, f"quota of {body.task}", body, answer)
        return answer
