"""Propose mappings for the messages of a type that nobody described."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.messages.kinds import stream_decoder
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.offline.field_values import name_words, read_fields
from robot_recorder.offline.guess_kinds import guess_meanings
from robot_recorder.offline.guess_stamp import GuessedStamp, guess_stamp
from robot_recorder.offline.guessed_stream import GuessedStream
from robot_recorder.offline.profile_draft import DraftStream, ProfileDraft

_NAMED = 6  # fields that a remark names
_MOST_STREAMS = 12  # of one topic


@dataclass(frozen=True)
class GuessedType:
    """What the messages of a topic seem to be.

    Attributes:
        streams: that they become; empty: their numbers are read field by field.
        stamp: the field that is their time; None: headers are, or nothing is.
        rest: fields that no stream reads.
        refused: why a proposal was dropped: it does not read the messages it was made from.
    """

    streams: tuple[GuessedStream, ...] = ()
    stamp: GuessedStamp | None = None
    rest: tuple[str, ...] = ()
    refused: tuple[str, ...] = field(default=())


def guess_type(
    type_name: str,
    definition: str,
    messages: Sequence[bytes],
    receives: Int64s,
    topic: str = "",
) -> GuessedType:
    """Propose mappings for messages of a type. Each is tried on all the messages.

    Args:
        type_name: package/msg/Name.
        definition: of it, in ros2msg format; empty: unknown.
        messages: n of them, CDR, in order of receipt.
        receives: int64[n], ns.
        topic: name of the topic, which may say what they are.
    """
    if not definition or not messages:
        return GuessedType()
    try:
        fields = read_fields(type_name, definition, messages)
    except ConfigError as error:
        return GuessedType(refused=(str(error),))
    stamp = guess_stamp(fields, receives)
    time = stamp.rule["field"] if stamp is not None else ""
    kept, refused = [], []
    about = frozenset(name_words(f"{topic}/{type_name}"))
    for guess in guess_meanings(fields, time, about)[:_MOST_STREAMS]:
        why = _problem(guess, type_name, definition, messages)
        if why:
            refused.append(f"{', '.join(sorted(guess.paths)[:_NAMED])} as {guess.meaning}: {why}")
        else:
            kept.append(guess)
    used = {path for guess in kept for path in (*guess.paths, guess.named)}
    rest = [f.path for f in fields if f.count and not f.covers and f.path not in {*used, time}]
    return GuessedType(tuple(kept), stamp, tuple(rest), tuple(refused))


def rest_text(rest: Sequence[str]) -> str:
    """Say which fields are not read; empty: all are."""
    if not rest:
        return ""
    more = f" and {len(rest) - _NAMED} more" if len(rest) > _NAMED else ""
    return f"not read: {', '.join(rest[:_NAMED])}{more}"


def drafted(guess: GuessedStream, draft: DraftStream) -> DraftStream:
    """Return a stream of a draft with a guessed mapping."""
    draft.meaning, draft.map, draft.unread = guess.meaning, dict(guess.map), False
    draft.unit, draft.index, draft.elements = guess.unit, guess.index, guess.elements
    draft.made_up, draft.required = guess.made_up, guess.required
    for key, remarks in guess.remarks.items():
        for remark in remarks:
            draft.remark(key, remark)
    return draft


def _problem(
    guess: GuessedStream, type_name: str, definition: str, messages: Sequence[bytes]
) -> str:
    """Return why a proposal does not read the messages it was made from; empty: it does."""
    draft = drafted(guess, DraftStream("s", "/s", type_name, "observation", 10.0))
    return draft_problem(draft, definition, messages)


def draft_problem(draft: DraftStream, definition: str, messages: Sequence[bytes]) -> str:
    """Return why a stream of a draft does not read messages; empty: it does.

    Args:
        draft: the stream, which may refer to no other.
        definition: of its type.
        messages: CDR.
    """
    try:
        text = ProfileDraft("robot", [draft]).text()
        (stream,) = parse_profile(text, "guess").streams
        decode = stream_decoder(stream, definition)
        if decode is None:
            return ""
        values = [decode(data) for data in messages]
    except (ConfigError, DecodeError) as error:
        return str(error)
    if not any(decoded.names for decoded in values):
        return next((decoded.note for decoded in values if decoded.note), "it has no values")
    return ""
