"""A take against the reference of its task: figures, one score, and what to do better; from figures alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict
from robot_recorder.skill.motion_score import MotionScore
from robot_recorder.skill.take_score import Phase, TakeScore

MOST_SENTENCES = 4
_LIKE = 0.1  # shares that differ by less are alike
_LEAST = {"duration_s": 0.5, "still_s": 0.5, "turns": 1, "recoveries": 0}
_CERTAIN = 10.0  # urgency of what must be right before anything else; the rest is at most 1


@dataclass(frozen=True)
class Figure:
    """One figure of a take beside the reference; None: unknown.

    Attributes:
        name: duration_s, smoothness, still_s, turns, travel_rad or recoveries.
        own, reference: its values.
        mark: better, worse or like the reference; empty: one of them is unknown.
    """

    name: str
    own: float | None
    reference: float | None
    mark: str


@dataclass(frozen=True)
class Advice:
    """A sentence of a page: the key of its words, and what fills it.

    Attributes:
        key: of a sentence.
        urgency: what is larger comes first.
        own, reference: values, in the unit of the sentence; None: it has none.
        text: name of a phase, cause or check; empty: it has none.
    """

    key: str
    urgency: float
    own: float | None = None
    reference: float | None = None
    text: str = ""


def figures(own: TakeScore, reference: TakeScore | None) -> list[Figure]:
    """Return all figures of a take."""
    mine, theirs = _values(own), _values(reference)
    return [
        Figure(name, value, theirs[name], _mark(name, value, theirs[name]))
        for name, value in mine.items()
    ]


def _values(take: TakeScore | None) -> dict[str, float | None]:
    motion = take.motion if take is not None else None
    return {
        "duration_s": take.duration_s if take is not None else None,
        "smoothness": motion.smoothness if motion is not None else None,
        "still_s": motion.still_s() if motion is not None else None,
        "turns": len(motion.turns) if motion is not None else None,
        "travel_rad": motion.travel_rad if motion is not None else None,
        "recoveries": take.recoveries if take is not None else None,
    }


def _mark(name: str, own: float | None, reference: float | None) -> str:
    if own is None or reference is None:
        return ""
    apart = abs(own) - abs(reference)  # of every figure the smaller one is better
    if abs(apart) <= max(_LIKE * abs(reference), _LEAST.get(name, 0.0)):
        return "like"
    return "worse" if apart > 0 else "better"


def percent(own: TakeScore, reference: TakeScore | None) -> float | None:
    """Return the score: 100 is at least as good as the reference in all of it; None: unknown.

    The geometric mean of reference through own of time, smoothness, changes of direction (each plus
    one) and travel, each at most 1.
    """
    if reference is None or own.motion is None or reference.motion is None:
        return None
    mine, theirs = own.motion, reference.motion
    if mine.smoothness is None or theirs.smoothness is None or own.duration_s <= 0:
        return None
    ratios = [
        reference.duration_s / own.duration_s,
        _ratio(theirs.smoothness, mine.smoothness),
        (1 + len(theirs.turns)) / (1 + len(mine.turns)),
        _ratio(theirs.travel_rad, mine.travel_rad),
    ]
    return float(100 * prod(min(1.0, ratio) for ratio in ratios) ** (1 / len(ratios)))


def _ratio(reference: float, own: float) -> float:
    return reference / own if own else 1.0


def is_good(take: TakeScore) -> bool:
    """Return whether a take succeeded and its recording was accepted."""
    return take.outcome is Outcome.SUCCESS and take.verdict is Verdict.ACCEPT


def best(takes: Sequence[TakeScore]) -> int | None:
    """Return the place of the take that comes nearest to the best of each figure; None: unknown.

    Only takes that succeeded and were accepted are considered.
    """
    good = [at for at, take in enumerate(takes) if is_good(take) and _has_all(take)]
    if not good:
        return None
    motions = [motion for at in good if (motion := takes[at].motion) is not None]
    ideal = replace(
        takes[good[0]],
        duration_s=min(takes[at].duration_s for at in good),
        motion=replace(
            motions[0],
            smoothness=max(m.smoothness for m in motions if m.smoothness is not None),
            turns=min((m.turns for m in motions), key=len),
            travel_rad=min(m.travel_rad for m in motions),
        ),
    )
    return max(good, key=lambda at: percent(takes[at], ideal) or 0.0)


def _has_all(take: TakeScore) -> bool:
    return take.motion is not None and take.motion.smoothness is not None


def advice(own: TakeScore, reference: TakeScore | None) -> list[Advice]:
    """Return what to do better, the most important first; empty: there is nothing to compare with."""
    found = list(_certain(own, reference))
    if reference is not None and own.motion is not None and reference.motion is not None:
        found += _phases(own, reference)
        found += _whole(own.motion, reference.motion)
        if not found:
            found = [Advice("good", 0.0)]
    return sorted(found, key=lambda one: -one.urgency)[:MOST_SENTENCES]


def _certain(own: TakeScore, reference: TakeScore | None) -> Iterator[Advice]:
    if own.outcome is Outcome.FAILURE:
        yield Advice("failed", _CERTAIN + 2, text=own.cause)
    if own.verdict in (Verdict.REVIEW, Verdict.REJECT):
        yield Advice(own.verdict.text, _CERTAIN + 1, text=own.reason)
    saved = reference.recoveries if reference is not None else 0
    if own.recoveries > saved:
        yield Advice("recoveries", _CERTAIN, own.recoveries, saved)


def _phases(own: TakeScore, reference: TakeScore) -> Iterator[Advice]:
    """Yield where time was lost: standing still, or moving slowly, phase by phase."""
    assert own.motion is not None and reference.motion is not None
    whole_s = max(own.duration_s, 1e-3)
    began_s, theirs_s = _first_s(own.motion), _first_s(reference.motion)
    if began_s - theirs_s > _LEAST["still_s"]:
        yield Advice("late", (began_s - theirs_s) / whole_s, began_s, theirs_s)
    names = _common(own.phases, reference.phases)
    places = [("before", name) for name in names]
    places.append(("after", names[-1]) if names else ("take", ""))
    mine, theirs = _spans(own, names, began_s), _spans(reference, names, theirs_s)
    for (place, name), here, there in zip(places, mine, theirs):
        still, stood = own.motion.still_s(*here), reference.motion.still_s(*there)
        if still - stood > _LEAST["still_s"]:
            yield Advice(f"still_{place}", (still - stood) / whole_s, still, stood, name)
        moved, needed = here[1] - here[0] - still, there[1] - there[0] - stood
        if moved - needed > max(_LEAST["duration_s"], _LIKE * needed):
            yield Advice(f"slow_{place}", (moved - needed) / whole_s, moved, needed, name)


def _whole(own: MotionScore, reference: MotionScore) -> Iterator[Advice]:
    for name, mine, theirs in (
        ("turns", float(len(own.turns)), float(len(reference.turns))),
        ("travel", own.travel_rad, reference.travel_rad),
        ("rough", own.smoothness, reference.smoothness),
    ):
        if mine is None or theirs is None:
            continue
        least = max(_LIKE * abs(theirs), _LEAST.get(name, 0.0))
        if abs(mine) - abs(theirs) > least:
            urgency = (1 - abs(theirs) / abs(mine)) / 4  # one part of four of the score
            yield Advice(name, urgency, mine, theirs)


def _first_s(motion: MotionScore) -> float:
    """Return when the first motion began, s."""
    begins = motion.pauses[0] if motion.pauses and motion.pauses[0][0] <= 0 else None
    return begins[1] if begins is not None else 0.0


def _common(own: Iterable[Phase], reference: Iterable[Phase]) -> list[str]:
    """Return the names of phases that both takes have, in the order in which both have them."""
    mine, theirs = _firsts(own), _firsts(reference)
    shared = [name for name in mine if name in theirs]
    return shared if shared == [name for name in theirs if name in mine] else shared[:1]


def _firsts(phases: Iterable[Phase]) -> list[str]:
    return list(dict.fromkeys(phase.name for phase in phases))


def _spans(take: TakeScore, names: Sequence[str], began_s: float) -> list[tuple[float, float]]:
    """Return begin and end of each phase; what was before the first motion is said by itself."""
    begins = {phase.name: phase.from_s for phase in reversed(take.phases)}
    borders = [0.0, *(begins[name] for name in names), take.duration_s]
    cut = [min(max(border, began_s), take.duration_s) for border in borders]
    return list(pairwise(cut))
