"""Check any rosbag2 bag with the quality checks that run during recording."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from robot_recorder.alignment.certificate import Certificate, FrameStats, TickSpan
from robot_recorder.configuration.profile import parse_profile
from robot_recorder.configuration.tasks import Task, TaskRegistry, parse_tasks
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.facts import incompleteness
from robot_recorder.messages.encoded import recorded_profile
from robot_recorder.messages.image_messages import RAW
from robot_recorder.model.errors import BagError, ConfigError, RecorderError
from robot_recorder.model.streams import NS_PER_S, RobotProfile
from robot_recorder.offline.align import align_episode
from robot_recorder.offline.guess import is_about
from robot_recorder.offline.plan import Plan, make_plan
from robot_recorder.offline.structure import recording_problems, structure_of
from robot_recorder.quality.audit import EpisodeAudit
from robot_recorder.quality.checks.looker import Tell, TellVideo
from robot_recorder.quality.checks.picture_figures import VideoPackets
from robot_recorder.quality.inspector import Inspector
from robot_recorder.quality.pictures import look_at
from robot_recorder.quality.verdict import UNCHECKED, QualityReport
from robot_recorder.quality.video_watch import VideoWatches

_AT_ONCE = 2000  # messages


@dataclass(frozen=True)
class CheckResult:
    """The result of checking an episode.

    Attributes:
        path: of the bag.
        episode_id: the episode's id.
        problems: sentences about wrong files and counts.
        recording: sentences about what went wrong during recording; the report takes them into
            account.
        report: the quality report.
        messages: number of messages read.
    """

    path: Path
    episode_id: str
    problems: list[str]
    recording: list[str]
    report: QualityReport
    messages: int = 0

    @property
    def sound(self) -> bool:
        """Whether the files are intact."""
        return not self.problems


class InProcessLooker:
    """A Looker that examines images in the calling process, at once."""

    def __init__(self) -> None:
        self._videos = VideoWatches()

    def look(self, type_name: str, time_ns: int, message: bytes, tell: Tell) -> None:
        """Examine an image and report the result."""
        tell(look_at(type_name, time_ns, message))

    def follow(self, packets: VideoPackets, tell: TellVideo) -> None:
        """Decode packets of a video and report what was found."""
        tell(self._videos.add(packets))

    def leave(self, video: int) -> None:
        """Forget a video."""
        self._videos.leave(video)

    def settle(self, timeout_s: float) -> bool:
        """Return True: every image was examined when it was passed in."""
        return True


def check_episode(
    path: Path,
    profile: RobotProfile | None = None,
    tasks: TaskRegistry | None = None,
) -> CheckResult:
    """Check files, counts and contents of a bag.

    Args:
        path: of the bag.
        profile: the robot's profile; None: the one in the bag, or a guess.
        tasks: registry with the episode's task; None: the task stored in the episode.

    Raises:
        BagError: the path is not a bag.
    """
    episode = Episode.open(path)
    structure = structure_of(episode)
    episode, unclear = episode.readable()
    recording = recording_problems(episode)
    try:
        report = inspect_episode(episode, profile, tasks)
        report = replace(report, broken=(*report.broken, *unclear, *episode.unread))
    except RecorderError as error:
        report = replace(
            UNCHECKED, sentence=f"not checked: {error}", broken=(*unclear, *episode.unread)
        )
    return CheckResult(path, episode.id, structure.problems, recording, report, structure.messages)


def inspect_episode(
    episode: Episode, profile: RobotProfile | None = None, tasks: TaskRegistry | None = None
) -> QualityReport:
    """Compute the quality report of a bag from its messages.

    Args:
        episode: the bag.
        profile: the robot's profile; None: the one in the bag, or a guess.
        tasks: registry with the episode's task; None: the task stored in the episode.

    Raises:
        BagError: no message can be read.
        ConfigError: the bag has no topics of the profile.
    """
    plan = make_plan(episode, profile)
    everything = _whole_profile(plan)
    task, unclear = _task(episode, tasks)
    inspector = Inspector(
        everything, task, InProcessLooker(), plan.decoders, plan.guessed, plan.unread
    )
    inspector.broken += [unclear] if unclear else []
    start_ns, stop_ns = episode.start_ns, episode.start_ns + round(episode.duration_s * NS_PER_S)
    from_ns = start_ns - round(episode.pre_roll_s * NS_PER_S)
    if plan.span is not None:
        from_ns, (start_ns, stop_ns) = plan.span[0], plan.span
    audit = EpisodeAudit(plan.audited(everything.streams), inspector)
    cut_off = ""
    try:
        _read(episode, plan, audit, from_ns, stop_ns)
    except BagError as error:
        cut_off = str(error)
    certificate = _certificate(episode, plan, everything, audit, (from_ns, stop_ns))
    incomplete, lost = incompleteness(episode.facts)
    ending = cut_off or incomplete, bool(cut_off) or lost
    report = audit.report(from_ns, start_ns, stop_ns, certificate, ending)
    return replace(
        report,
        broken=(*report.broken, *(f"delays: {n}" for n in plan.notes), *_outside(episode, plan)),
    )


def _read(episode: Episode, plan: Plan, audit: EpisodeAudit, from_ns: int, stop_ns: int) -> None:
    """Give an audit all messages that it inspects.

    Raises:
        BagError: the bag cannot be read to its end; what could be read was given.
    """
    wanted = [s.name for s in plan.profile.streams if audit.wants(s.name)]
    for segment in plan.read(episode.path, {plan.topics[name] for name in wanted}):
        for name in wanted:
            column = segment.columns.get(plan.topics[name])
            if column is None:
                continue
            stamps, receives = plan.stamps(name, column), column.receives
            for at in range(0, len(stamps), _AT_ONCE):
                part = slice(at, at + _AT_ONCE)
                inside = range(at, min(at + _AT_ONCE, len(stamps)))
                messages = [column.payloads[n] for n in inside]
                audit.add(name, stamps[part], receives[part], messages, plan.restamp)
        audit.advance(from_ns, min(segment.until_ns, stop_ns))


def _outside(episode: Episode, plan: Plan) -> list[str]:
    """Return a sentence for each topic that is not a stream, with the reason."""
    known = {*plan.topics.values()}
    said = []
    for topic in episode.metadata["topics_with_message_count"]:
        name, kind = topic["topic_metadata"]["name"], topic["topic_metadata"]["type"]
        if name in known or is_about(name):
            continue
        if not topic["message_count"]:
            said.append(f"{name} ({kind}): it has no messages")
        else:
            said.append(f"{name} ({kind}): {plan.left_out.get(name, 'no stream of the profile')}")
    return said


def _whole_profile(plan: Plan) -> RobotProfile:
    """Return the plan's profile with the streams that are missing from the bag."""
    if not plan.absent:
        return plan.profile
    whole = parse_profile(plan.profile.text, "the episode's profile")
    as_sent = [s.name for s in plan.profile.streams if s.type == RAW]
    return recorded_profile(whole, as_sent)


def _task(episode: Episode, tasks: TaskRegistry | None) -> tuple[Task | None, str]:
    """Return the episode's task from the registry or the episode, and why it cannot be used."""
    id = episode.labels.task
    if tasks is None and "task_yaml" in episode.facts:
        try:
            tasks = parse_tasks(episode.facts["task_yaml"])
        except ConfigError as error:  # a newer version may have written keys unknown to this one
            return None, f"what its task asks for: {error}"
    return (tasks.tasks.get(id) if tasks is not None else None), ""


def _certificate(
    episode: Episode,
    plan: Plan,
    everything: RobotProfile,
    audit: EpisodeAudit,
    span: tuple[int, int],
) -> Certificate:
    """Return the episode's certificate, or compute one; add the streams missing from the bag."""
    own = episode.certificate if everything.text == episode.facts.get("profile_yaml") else None
    found = own or align_episode(episode, plan, plan.frame_clock(None, "")).certificate
    missing = [s.name for s in everything.streams if s.name not in found.streams]
    if not missing:
        return found
    frames = FrameStats(TickSpan.of_bag(*span, everything.deadline_ns))
    counted = audit.certificate(*span, frames, everything.frame_clock, lambda _: (None, ""))
    absent = {name: counted.streams[name] for name in missing}
    return replace(found, streams={**found.streams, **absent})
