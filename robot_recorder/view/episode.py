"""Logs an episode into a Rerun recording, a few seconds at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

import rerun as rr

from robot_recorder.content.contents import ContentBatch, Contents, Numbers
from robot_recorder.messages.kinds import Sort
from robot_recorder.messages.urdf import RobotModel, parse_urdf
from robot_recorder.model.errors import DecodeError
from robot_recorder.view.cameras import CameraLog, estimated_bytes
from robot_recorder.view.clouds import CloudLog, thinning
from robot_recorder.view.contact import ContactLog, frame_ids
from robot_recorder.view.curves import CurveLog
from robot_recorder.view.document import log_document
from robot_recorder.view.frames import EpisodeFrames, log_frames
from robot_recorder.view.labels import log_labels
from robot_recorder.view.layout import Layout
from robot_recorder.view.log import RerunLog
from robot_recorder.view.markers import MarkerLog
from robot_recorder.view.meshes import find_mesh
from robot_recorder.view.operator import OperatorLog
from robot_recorder.view.poses import PoseLog
from robot_recorder.view.robot import RobotLog, driving
from robot_recorder.view.touch import TouchLog

MOST_PICTURE_BYTES = 300_000_000  # a viewer keeps all pictures in memory
MOST_VALUES = 30_000_000  # a viewer takes ten bytes for each
Progress = Callable[[str, float], None]


@dataclass
class ViewResult:
    """What was shown of an episode.

    Attributes:
        pictures: number of pictures by camera topic.
        notes: what is not shown, or only in part, and why; one sentence each.
    """

    pictures: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Amount:
    """How far a long episode is thinned out."""

    every_picture: int
    every_value: int
    every_cloud: int

    @classmethod
    def of(cls, contents: Contents, first: ContentBatch, everything: bool) -> _Amount:
        if everything:
            return cls(1, 1, 1)
        pictures = estimated_bytes(first.images)
        values = sum(n.topic.count * len(n.names) for n in first.numbers)
        return cls(
            max(1, math.ceil(pictures / MOST_PICTURE_BYTES)),
            max(1, math.ceil(values / MOST_VALUES)),
            thinning(first.clouds, contents.topics),
        )

    @property
    def notes(self) -> list[str]:
        parts = []
        if self.every_picture > 1:
            parts.append(f"one picture of {self.every_picture}")
        if self.every_value > 1:
            parts.append(f"one sample of {self.every_value} of the curves")
        if self.every_cloud > 1:
            parts.append(f"one point cloud of {self.every_cloud}")
        return [f"a long episode: {' and '.join(parts)} is shown; --all shows all"] if parts else []


def log_episode(
    contents: Contents,
    recording: rr.RecordingStream,
    everything: bool = False,
    progress: Progress = lambda what, share: None,
) -> ViewResult:
    """Log all content that can be decoded.

    Args:
        contents: of the episode.
        recording: where to log it.
        everything: log every picture and sample, however long the episode.
        progress: called with the current step and its share done, 0 to 1.

    Raises:
        NotTaken: the recording's target is full or gone.
    """
    log = RerunLog(recording, contents.start_ns)
    recording.send_recording_name(contents.episode.id)
    frames = EpisodeFrames.of(contents, lambda share: progress("aligning", share))
    batches = contents.batches()
    first = next(batches, ContentBatch([], [], 1.0))
    amount = _Amount.of(contents, first, everything)
    viewed = ViewResult(notes=amount.notes)
    model = _model(contents, viewed.notes)
    layout = Layout(
        contents, {n.topic.stream: n for n in first.numbers}, frames, model, frame_ids(contents)
    )
    recording.send_blueprint(layout.blueprint())
    log_labels(log, contents)
    log_frames(log, frames, contents.start_ns)
    certificate = contents.episode.certificate
    if certificate is None and frames.alignment is not None:
        certificate = frames.alignment.certificate
    log_document(log, contents, certificate, [*viewed.notes, *contents.problems])
    writer = _Writer(log, contents, layout, amount)
    for batch in chain([first], batches):
        writer.add(batch)
        log.flush()
        progress("reading", batch.share)
    markers = MarkerLog(log, model.links if model else ())
    markers.read(contents, lambda share: progress("markers", share))
    late = writer.curves.late
    if any(late.values()) or markers.spaces:
        recording.send_blueprint(layout.blueprint(late, markers.spaces))
    problems = [*writer.problems, *markers.problems]
    found = [*contents.problems, *filter(None, [frames.problem]), *problems]
    viewed.notes += dict.fromkeys(found)
    log_document(log, contents, certificate, viewed.notes, layout.constant(late))
    log.flush()
    viewed.pictures = dict(writer.cameras.logged)
    return viewed


def _model(contents: Contents, notes: list[str]) -> RobotModel | None:
    """Return the robot; None: it cannot be drawn, and a note says why."""
    description = contents.description
    if not description:
        if any(t.sort is Sort.JOINTS for t in contents.topics):
            notes.append("no robot is drawn: the bag holds no robot_description")
        return None
    try:
        return parse_urdf(description)
    except DecodeError as error:
        notes.append(f"no robot is drawn: {error}")
        return None


class _Writer:
    """All logs of an episode; pictures are logged first, because they are wanted soonest."""

    def __init__(
        self,
        log: RerunLog,
        contents: Contents,
        layout: Layout,
        amount: _Amount,
    ) -> None:
        model, frames = layout.model, layout.frames
        self.cameras = CameraLog(log, amount.every_picture)
        self.curves = CurveLog(log, contents.topics, layout.choices)
        self._clouds = CloudLog(log, amount.every_cloud, layout.links)
        self._poses = PoseLog(log)
        self._touch = TouchLog(log, frames)
        self._every = amount.every_value
        self._driving = {t.stream for t in driving(contents.topics)}
        self._robot = RobotLog(log, model, find_mesh) if model else None
        self._contact = ContactLog(log, model, layout.frame_ids, frames) if model else None
        self._operator = OperatorLog(log, model, layout.frame_ids) if model else None

    def add(self, batch: ContentBatch) -> None:
        for images in batch.images:
            self.cameras.add(images)
        if self._robot is not None:
            self._robot.add([n for n in batch.numbers if n.topic.stream in self._driving])
        for clouds in batch.clouds:
            self._clouds.add(clouds)
        for numbers in batch.numbers:
            few = _some(numbers, self._every)
            self.curves.add(few)
            self._touch.add(few)
            self._poses.add(numbers)
            if self._contact is not None:
                self._contact.add(numbers)
            if self._operator is not None:
                self._operator.add(numbers)

    @property
    def problems(self) -> Iterator[str]:
        yield from self.cameras.problems
        yield from self._clouds.problems
        meshes = self._robot.missing_meshes if self._robot else []
        if meshes:
            some = ", ".join(islice(dict.fromkeys(meshes), 3))
            yield f"{len(meshes)} bodies of the robot are not drawn: meshes not found ({some})"


def _some(numbers: Numbers, every: int) -> Numbers:
    if every == 1:
        return numbers
    return Numbers(numbers.topic, numbers.names, numbers.times_s[::every], numbers.values[::every])
