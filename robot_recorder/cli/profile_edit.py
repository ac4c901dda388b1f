"""Edit one stream of a drafted profile by answering questions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from robot_recorder.cli.profile_live import shown_values
from robot_recorder.cli.profile_rows import described_values
from robot_recorder.cli.prompts import ask, choose
from robot_recorder.cli.terminal import say
from robot_recorder.configuration.profile import parse_profile
from robot_recorder.configuration.yaml_source import is_name
from robot_recorder.messages.decoders import Decoded
from robot_recorder.messages.kinds import JOINT_STATE, needs_definition, stream_decoder
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.model.mapping import Meaning
from robot_recorder.model.streams import Role, StreamConfig
from robot_recorder.offline.guess_mapping import draft_problem
from robot_recorder.offline.heard_topic import HeardTopic
from robot_recorder.offline.profile_draft import DraftStream, ProfileDraft, written

_NONE = "none"
_KEYS = {
    "joint_state": ("position", "velocity", "effort"), "numbers": ("values",),
    "imu": ("orientation", "angular_velocity", "linear_acceleration"),
    "wrench": ("force", "torque"), "pose": ("position", "orientation"),
    "poses": ("each", "name", "pose"), "twist": ("linear", "angular"), "tactile": ("normal",),
}  # fmt: skip


def alone(draft: DraftStream, others: Sequence[DraftStream] = ()) -> DraftStream:
    """Return a stream that refers to no other, so that it can be tried.

    Args:
        draft: the stream.
        others: streams whose names it may have.
    """
    found = replace(draft, of="", map=dict(draft.map))
    names = found.map.get("names")
    if isinstance(names, str) and names.startswith("same_as"):
        listed = [o.map["names"] for o in others if names == f"same_as {o.name}" and o.map]
        del found.map["names"]
        if listed and isinstance(listed[0], list):
            found.map = {"names": listed[0], **found.map}
    return found


def parsed(draft: DraftStream, others: Sequence[DraftStream] = ()) -> StreamConfig:
    """Return the configuration of a stream of a draft.

    Args:
        draft: the stream.
        others: streams whose names it may have.

    Raises:
        ConfigError: it is invalid.
    """
    return parse_profile(ProfileDraft("robot", [alone(draft, others)]).text(), "profile").streams[0]


class Preview:
    """The numbers of a stream, as the latest message says them."""

    def __init__(
        self,
        draft: DraftStream,
        messages: Callable[[], HeardTopic],
        others: Sequence[DraftStream] = (),
    ) -> None:
        """
        Args:
            draft: the stream.
            messages: returns what has been heard of its topic.
            others: streams whose names it may have.
        """
        self._draft, self._messages = draft, messages
        self._decode: Callable[[bytes], Decoded] | None = None
        self._stream: StreamConfig | None = None
        self._problem, self._turn = "", 0
        try:
            self._stream = parsed(draft, others)
            topic = messages()
            if not needs_definition(self._stream) or topic.definition:
                self._decode = stream_decoder(self._stream, topic.definition)
        except ConfigError as error:
            self._problem = str(error)

    def __call__(self) -> str:
        """Return a line with the numbers of the latest message; in a bag, of one after the other."""
        topic = self._messages()
        if self._problem or not topic.messages:
            return f"    {self._problem or topic.problem or 'no message yet'}"
        self._turn += 1
        latest = topic.count == len(topic.messages)
        data = topic.messages[-1 if latest else self._turn % len(topic.messages)]
        if self._decode is None:
            return f"    {len(data)} bytes, message {topic.count}"
        try:
            decoded = self._decode(data)
        except DecodeError as error:
            return f"    cannot be read: {error}"
        assert self._stream is not None
        kind = described_values(self._stream, decoded.names)
        return f"    {kind}: {shown_values(decoded.names, decoded.values, 6) or decoded.note}"


def edit(draft: DraftStream, topic: HeardTopic) -> DraftStream:
    """Return a stream of a draft, changed by a person's answers.

    Args:
        draft: it is not changed.
        topic: its topic, with messages that a mapping is tried on.

    Raises:
        Interrupted: the person wants to stop.
    """
    found = replace(
        draft, map=dict(draft.map), remarks={k: list(v) for k, v in draft.remarks.items()}
    )
    found.name = _name(found.name)
    found.role = choose("  role", [role.value for role in Role], found.role)
    found.rate_hz = _rate(found.rate_hz)
    required = choose("  required", ("yes", "no"), "yes" if found.required else "no")
    found.required = required == "yes" and found.role != Role.CONTEXT.value
    if found.role != Role.ACTION.value:
        found.of = ""
    _edit_meaning(found, topic)
    if found.meaning in ("joint_state", "tactile", "numbers") or found.type == JOINT_STATE:
        unit = ask(
            "  unit (rad, deg, mm, percent, raw, ...)",
            found.unit or "rad" if _turns(found) else "?",
        )
        if unit != found.unit:
            found.remarks.pop("unit", None)
        found.unit = "" if unit in ("rad", "?") else unit
    _edit_names(found, topic)
    return found


def _turns(draft: DraftStream) -> bool:
    return draft.meaning == "joint_state" or draft.type == JOINT_STATE


def _name(known: str) -> str:
    while not is_name(name := ask("  name", known)):
        say(f"  '{name}' must be letters, digits and _ and start with a letter")
    return name


def _rate(known: float) -> float:
    while True:
        answer = ask("  rate, Hz", f"{known:g}")
        try:
            rate = float(answer)
        except ValueError:
            rate = 0.0
        if 0 < rate < 1e6:
            return rate
        say(f"  '{answer}' is not a rate")


def _edit_meaning(draft: DraftStream, topic: HeardTopic) -> None:
    """Ask what the values are, until the mapping reads the messages."""
    if not topic.definition or (not draft.meaning and not draft.unread):
        return  # a type that is known
    while True:
        words = [_NONE, *(meaning.value for meaning in Meaning)]
        meaning = choose("  as", words, draft.meaning or _NONE)
        if meaning == draft.meaning:
            return
        tried = replace(
            draft, meaning="" if meaning == _NONE else meaning, map={}, unit="", remarks={}
        )
        tried.unread = meaning == _NONE
        if meaning != _NONE:
            say("  paths are like motor_state[0:29].q; an empty answer leaves one out")
            tried.map = {k: path for k in _KEYS[meaning] if (path := ask(f"    {k}", ""))}
        problem = draft_problem(tried, topic.definition, topic.samples()[0])
        if not problem:
            draft.meaning, draft.map, draft.unread = tried.meaning, tried.map, tried.unread
            draft.unit, draft.remarks = "", {}
            return
        say(f"  {problem}")


def _edit_names(draft: DraftStream, topic: HeardTopic) -> None:
    """Ask for the names of joints or bodies that the messages do not name."""
    known = draft.map.get("names")
    if not isinstance(known, list):
        return
    say(f"  {len(known)} names, separated by commas, or a file with one a line; Enter keeps them:")
    while True:
        answer = ask("  names", written(known)[1:-1])
        names = split_names(answer)
        tried = alone(replace(draft, map={**draft.map, "names": names}))
        problem = draft_problem(tried, topic.definition, topic.samples()[0])
        if not problem or not topic.messages:
            if names != known:
                draft.remarks.pop("map.names", None)
            draft.map["names"] = names
            return
        say(f"  {problem}")


def split_names(text: str) -> list[str]:
    """Return the names of a list, or of a file."""
    path = Path(text).expanduser()
    if re.search(r"[/.]", text) and "," not in text and path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
    parts: list[Any] = re.split(r"[,\n]", text)
    return [part.strip().strip("'\"") for part in parts if part.strip()]
