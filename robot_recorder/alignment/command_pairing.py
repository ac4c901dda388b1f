"""Pair commands with the joint streams that follow them, even if two arms share joint names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from robot_recorder.model.text import listed

_WORD = re.compile(r"[A-Za-z]+|[0-9]+")
# Words in topic names that tell the kind of message, and not the part of the robot.
_KINDS = re.compile(
    r"joints?|states?|positions?|commands?|cmd|actions?|targets?|goals?|desired|setpoint|reference|lead|leaders?"
    r"|masters?|gello|followers?|puppets?|slaves?|observations?|obs|measured|actual|controller|teleop"
)
_MARKS = (re.compile("left|right"), re.compile("[0-9]+"), re.compile("[a-z]"))
_SIDES = {"l": "left", "r": "right", "lh": "left", "rh": "right"}
_SURE = 0.1  # least difference between the best fit and the next


@dataclass(frozen=True)
class JointStream:
    """A stream of joint positions.

    Attributes:
        name: stream name.
        topic: of the stream.
        joints: joint names.
        of: for a command, the observed stream given in the profile; empty: not given.
    """

    name: str
    topic: str
    joints: frozenset[str]
    of: str = ""


@dataclass(frozen=True)
class Pairing:
    """Observed streams and the commands that they follow.

    Attributes:
        commands: names of the commands that an observed stream follows, by its name.
        doubts: why the command of some joints is unknown, by observed stream.
    """

    commands: Mapping[str, tuple[str, ...]]
    doubts: Mapping[str, str]


def pair(
    commands: Sequence[JointStream],
    observed: Sequence[JointStream],
    fit: Callable[[str, str], float],
) -> Pairing:
    """Pair commands with the observed streams that follow them.

    A pair is decided by ``of``; else by joints that only two streams share; else by the most
    similar names; else by the best fit.

    Args:
        commands: streams of commands.
        observed: streams of observed positions.
        fit: returns how similarly a command and an observed stream move, 1: identically; called
            only if names do not decide.
    """
    by_name = {s.name: s for s in (*commands, *observed)}
    settled = {(c.name, c.of) for c in commands if c.of in by_name}
    shared = {
        (c.name, o.name)
        for c in commands
        for o in observed
        if not c.of and c.joints & o.joints
    }  # fmt: skip
    free = {
        (c, o) for c, o in shared if not _opposite(by_name[c], by_name[o])
    } - _beaten(settled, shared, by_name)  # fmt: skip
    for score, least in ((_likeness_by(by_name), 1e-9), (fit, _SURE)):
        settled |= (found := _settle(free, score, least, by_name))
        free -= found | _beaten(found, free, by_name)
    return Pairing(
        {o.name: tuple(c.name for c in commands if (c.name, o.name) in settled) for o in observed},
        _doubts(shared, settled, observed, by_name),
    )


_Edge = tuple[str, str]  # names of a command and an observed stream
_Streams = Mapping[str, JointStream]


def _settle(
    edges: set[_Edge], score: Callable[[str, str], float], least: float, streams: _Streams
) -> set[_Edge]:
    """Repeatedly settle the edges that beat all rivals, until there are no more."""
    left, settled = set(edges), set[_Edge]()
    scores: dict[_Edge, float] = {}
    while True:
        found = set()
        for edge in left:
            rivals = _rivals(edge, left, streams)
            for one in (edge, *rivals) if rivals else ():
                scores[one] = scores[one] if one in scores else score(*one)
            if all(_wins(edge, rival, scores, least) for rival in rivals):
                found.add(edge)
        if not found:
            return settled
        settled |= found
        left -= found | _beaten(found, left, streams)


def _wins(edge: _Edge, rival: _Edge, scores: Mapping[_Edge, float], least: float) -> bool:
    """Tell whether an edge beats a rival; by fit, two commands for one stream need no margin."""
    by = scores[edge] - scores[rival]
    if edge[1] == rival[1] and least == _SURE:
        return by > 0 or (by == 0 and edge < rival)
    return by >= least


def _rivals(edge: _Edge, edges: Iterable[_Edge], streams: _Streams) -> list[_Edge]:
    """Return the edges that share one end and some joints with an edge."""
    command, observed = edge
    mine = streams[command].joints & streams[observed].joints
    return [
        (c, o)
        for c, o in edges
        if (c == command) != (o == observed)
        and mine & streams[c].joints & streams[o].joints
    ]  # fmt: skip


def _beaten(settled: Iterable[_Edge], edges: set[_Edge], streams: _Streams) -> set[_Edge]:
    """Return the rivals of settled edges."""
    return {rival for edge in settled for rival in _rivals(edge, edges, streams)}


def _doubts(
    shared: set[_Edge], settled: set[_Edge], observed: Sequence[JointStream], streams: _Streams
) -> dict[str, str]:
    """Return why the command of some joints is unknown, by observed stream."""
    doubts = {}
    for stream in observed:
        known = frozenset[str]().union(*(streams[c].joints for c, o in settled if o == stream.name))
        unsure = sorted(
            c for c, o in shared if o == stream.name and streams[c].joints & stream.joints - known
        )
        if unsure:
            others = sorted(
                s.name for s in observed if s is not stream and s.joints & stream.joints - known
            )
            same = f"{listed(others)} {'has' if len(others) == 1 else 'have'} the same joints, and " if others else ""  # fmt: skip
            doubts[stream.name] = (
                f"{same}nothing says whether it follows {listed(unsure, 'or')}: set "
                f"'of: {stream.name}' at its command in the profile"
            )
    return doubts


def words(*names: str) -> frozenset[str]:
    """Return the words that name a part of the robot: arm, left for ``/left_arm/command``."""
    found = {w.lower() for name in names for w in _WORD.findall(name)}
    found = {w for w in found if not _KINDS.fullmatch(w)}
    return frozenset(_SIDES.get(w, w) for w in found)


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the share of words that two names have in common, 0 to 1; 1 if both have no words."""
    return len(one & other) / len(one | other) if one or other else 1.0


def nearest_topics(topic: str, others: Iterable[str]) -> list[str]:
    """Return the topics with the most similar names; several if equally similar."""
    mine = words(topic)
    scores = {other: likeness(mine, words(other)) for other in others}
    most = max(scores.values(), default=0.0)
    return sorted(other for other, score in scores.items() if score == most)


def _likeness_by(streams: _Streams) -> Callable[[str, str], float]:
    known = {name: words(s.topic, name) for name, s in streams.items()}
    return lambda one, other: likeness(known[one], known[other])


def _opposite(one: JointStream, other: JointStream) -> bool:
    """Tell whether two names have different sides, numbers or letters, and so different arms."""
    mine, others = words(one.topic, one.name), words(other.topic, other.name)
    return any(
        any(kind.fullmatch(w) for w in mine - others)
        and any(kind.fullmatch(w) for w in others - mine)
        for kind in _MARKS
    )
