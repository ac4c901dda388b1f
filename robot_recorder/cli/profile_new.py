"""``profile new``: walk through the topics of a robot, and write its profile."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from robot_recorder.cli.live_topics import LiveTopics
from robot_recorder.cli.profile_edit import Preview, alone, edit, parsed
from robot_recorder.cli.profile_live import guess_of_topics
from robot_recorder.cli.profile_rows import described_values
from robot_recorder.cli.progress import progress
from robot_recorder.cli.prompts import Interrupted, ask, choose
from robot_recorder.cli.terminal import say, say_error
from robot_recorder.configuration.profile import MESSAGE_TYPE, parse_profile
from robot_recorder.configuration.yaml_source import is_name
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.offline.guess import is_about, profile_name
from robot_recorder.offline.guess_bag import guess_with_mappings, heard_topics
from robot_recorder.offline.heard_topic import HeardTopic, rate_of
from robot_recorder.offline.profile_draft import DraftStream, ProfileDraft

_HELP = "Enter: keep, s: skip, e: edit, a: keep all others, q: stop here"
_UNCONFIRMED = "not confirmed: the walk was stopped before"


class Walk:
    """The questions to a person, and the profile that comes of them."""

    def __init__(self, file: Path, namespace: str, seconds: float) -> None:
        """
        Args:
            file: to write.
            namespace: of the robot.
            seconds: how long to listen before the first question, s.
        """
        self._file, self._namespace, self._seconds = file, namespace, seconds
        self._kept: list[DraftStream] = []
        self._left: list[DraftStream] = []
        self._draft = ProfileDraft("my_robot", [])
        self._topics: Callable[[], dict[str, HeardTopic]] = dict

    def run(self, bag: Path | None, live: bool) -> bool:
        """Ask, and write the profile; return whether it was finished.

        Args:
            bag: to make the profile from; None: ask, or listen.
            live: whether to listen to the running robot.

        Raises:
            BagError: the bag cannot be read.
            ConfigError: no topic looks like a sensor, or the file cannot be written.
        """
        try:
            if self._file.exists():
                answer = choose(f"{self._file} exists: overwrite it?", ("yes", "no"), "no")
                if answer == "no":
                    say("nothing was changed; give another file: profile new FILE")
                    return False
            if bag is None and not live:
                answer = ask("from the running robot (live), or from a bag (its path)", "live")
                bag = None if answer == "live" else Path(answer).expanduser()
            with ExitStack() as stack:
                self._find(bag, stack)
                self._walk()
        except (Interrupted, KeyboardInterrupt):
            self._keep_unfinished()
            return False
        self._write(self._file, self._kept)
        return True

    # -- what there is

    def _find(self, bag: Path | None, stack: ExitStack) -> None:
        """Find the topics and guess a profile."""
        if bag is not None:
            episode = Episode.open(bag)
            topics = heard_topics(episode)
            self._topics = lambda: topics
            guess = guess_with_mappings(episode)
        else:
            live = stack.enter_context(LiveTopics(self._namespace))
            with progress("the robot") as told:
                took_s = live.listen(self._seconds, partial(told, "listening to"))
            self._topics = lambda: {topic.name: topic for topic in live.snapshot()}
            if not self._topics():
                raise BagError(
                    "no topic is published: start the robot's drivers, check ROS_DOMAIN_ID"
                )
            guess = guess_of_topics(live.snapshot(), took_s, self._namespace)
        self._draft = guess.draft
        self._left = list(guess.draft.streams)

    def _topic(self, draft: DraftStream) -> HeardTopic:
        """Return what has been heard of a stream's topic by now."""
        topics = self._topics()
        space = f"/{self._namespace.strip('/')}" if self._namespace.strip("/") else ""
        full = draft.topic if draft.topic.startswith("/") else f"{space}/{draft.topic}"
        return topics.get(full) or topics.get(draft.topic) or HeardTopic(draft.topic, draft.type)

    @property
    def _every(self) -> list[DraftStream]:
        return [*self._kept, *self._left]

    # -- the walk

    def _walk(self) -> None:
        name = ask("name of the robot", self._draft.robot)
        self._draft.robot = name if is_name(name) else profile_name(name)
        say(f"{len(self._left)} streams were found:")
        self._list()
        say(_HELP)
        while self._left:
            if not self._ask_about(self._left[0]):
                return
        for topic, why in sorted(self._draft.left_out.items()):
            self._offer(topic, why)

    def _list(self) -> None:
        from robot_recorder.cli.tables import Table, table_console

        table = Table()
        for heading in ("stream", "topic", "type"):
            table.add_column(heading, no_wrap=True, drop=2 if heading == "type" else 0)
        table.add_column("Hz", justify="right", no_wrap=True)
        table.add_column("seems to be", least=20)
        for draft in self._left:
            table.add_row(
                draft.name, draft.topic, draft.type, f"{draft.rate_hz:g}", self._kind(draft)
            )
        table_console().print(table)

    def _kind(self, draft: DraftStream) -> str:
        try:
            return f"{draft.role}: {described_values(parsed(draft, self._every), None)}"
        except ConfigError as error:
            return str(error)

    def _ask_about(self, draft: DraftStream) -> bool:
        """Ask about the next stream; return whether to go on."""
        say()
        say(
            f"{draft.name}: {draft.topic} ({draft.type}), {draft.rate_hz:g} Hz, {self._kind(draft)}"
        )
        for key, remarks in draft.remarks.items():
            for remark in remarks:
                say(f"    {key.removeprefix('map.') + ': ' if key else ''}{remark}")
        answer = ask(
            f"keep {draft.name}? ({_HELP})",
            "keep",
            Preview(draft, partial(self._topic, draft), self._every),
        )
        first = answer[:1].lower()
        if first == "q":
            raise Interrupted
        if first == "a":
            self._kept += self._left
            self._left = []
            return True
        if first == "e":
            changed = edit(draft, self._topic(draft))
            self._rename(draft.name, changed.name)
            self._left[0] = changed
            return True  # asked again, with its new numbers
        self._left.pop(0)
        if first != "s":
            self._kept.append(draft)
        else:
            self._skipped(draft)
        return True

    def _skipped(self, draft: DraftStream) -> None:
        """Note a stream that the person does not want; others keep the names that it gave them."""
        for number, other in enumerate(self._left):
            if other.map.get("names") == f"same_as {draft.name}":
                self._left[number] = alone(other, [draft])
        if draft.topic not in {other.topic for other in self._every}:
            self._draft.left_out[draft.topic] = "left out by a person"

    def _rename(self, old: str, new: str) -> None:
        """Let the other streams name a stream by its new name."""
        for draft in self._every:
            if draft.of == old:
                draft.of = new
            if draft.map.get("names") == f"same_as {old}":
                draft.map["names"] = f"same_as {new}"

    def _offer(self, name: str, why: str) -> None:
        """Offer to record a topic that is no stream, as context."""
        topic = self._topics().get(name)
        usable = topic is not None and topic.count and not topic.problem
        if not usable or is_about(name) or why.startswith("left out by"):
            return
        assert topic is not None
        if not MESSAGE_TYPE.match(topic.type):
            return
        say(f"{name} ({topic.type}): {why}")
        if choose("  record it as context?", ("yes", "no"), "no") == "yes":
            rate = max(round(rate_of(topic), 1), 0.1)
            self._kept.append(DraftStream(profile_name(name), name, topic.type, "context", rate))
            del self._draft.left_out[name]

    # -- writing

    def _keep_unfinished(self) -> None:
        """Write what there is beside the file."""
        if not (self._kept or self._left):
            say_error("stopped; nothing was written")
            return
        for draft in self._left:
            draft.remark("", _UNCONFIRMED)
        path = self._file.with_name(f"{self._file.name}.partial")
        self._write(path, self._every)
        say_error(f"stopped; what there was is in {path}: correct it by hand, or begin again")

    def _write(self, path: Path, streams: list[DraftStream]) -> None:
        self._draft.streams = consistent(streams)
        self._draft.head = ("Made by robot-recorder profile new.",)
        text = self._draft.text()
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
        say(f"written: {path}, {len(streams)} streams")
        parse_profile(text, str(path))


def consistent(streams: list[DraftStream]) -> list[DraftStream]:
    """Return streams without references to those that were skipped."""
    names = {draft.name for draft in streams}
    found = []
    for draft in streams:
        other = draft.map.get("names")
        if (
            isinstance(other, str)
            and other.startswith("same_as")
            and other.split()[-1] not in names
        ):
            draft = alone(draft)
        if draft.of and draft.of not in names:
            draft.of = ""
        found.append(draft)
    return found
