"""Shows forces as arrows and touch as coloured points on the robot in 3D."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import rerun as rr

from robot_recorder.bags.columns import Column, read_columns
from robot_recorder.content.contents import Contents, Numbers
from robot_recorder.content.thinning import at_most
from robot_recorder.messages.cdr import header_frame_id
from robot_recorder.messages.kinds import Sort
from robot_recorder.messages.urdf import RobotModel
from robot_recorder.model.arrays import Floats
from robot_recorder.model.errors import BagError, DecodeError
from robot_recorder.view.frames import EpisodeFrames
from robot_recorder.view.log import RerunLog, entity
from robot_recorder.view.robot import RATE_HZ, ROOT
from robot_recorder.view.touch import TouchPad, touch_maps

_ARROW_M = 0.35  # length for the largest force of the episode
_ARROW_RADIUS_M = 0.012
_LEAST_FORCE_N = 10.0  # least force that is drawn at full length
_CELL_M = 0.014  # pitch of taxels, which is not in their messages
_FORCE_COLOUR = (255, 120, 60)


class ContactLog:
    """The log of forces as arrows and taxels as coloured points, in their messages' frames."""

    def __init__(
        self, log: RerunLog, model: RobotModel, frame_ids: Mapping[str, str], frames: EpisodeFrames
    ) -> None:
        """Log to a recording.

        Args:
            log: the recording.
            model: the robot.
            frame_ids: frames by topic.
            frames: of the whole episode; they give the largest values, which scale arrows and
                colours.
        """
        self._log = log
        self._frames = frames
        self._links = {t: link for t, link in frame_ids.items() if link in model.links}
        self._most: dict[str, float] = {}

    def add(self, numbers: Numbers) -> None:
        """Log the next samples of a wrench or a pad."""
        topic = numbers.topic
        link = self._links.get(topic.name)
        if link is None or topic.sort not in (Sort.WRENCH, Sort.TACTILE):
            return
        path = entity(ROOT, link, topic.stream)
        few = at_most(numbers.times_s, RATE_HZ)
        times_s, values = numbers.times_s[few], numbers.values[few]
        if topic.sort is Sort.WRENCH:
            most = max(self._largest(numbers, slice(0, 3)), _LEAST_FORCE_N)
            vectors = values[:, :3] * (_ARROW_M / most)
            style = rr.Arrows3D.from_fields(colors=[_FORCE_COLOUR], radii=[_ARROW_RADIUS_M])
            self._log.once(path, style)
            self._log.send(path, times_s, rr.Arrows3D.columns(vectors=vectors))
        for found in touch_maps(topic, numbers.names) if topic.sort is Sort.TACTILE else ():
            if len(found.pads) == 1:  # nothing says where several are
                (pad,) = found.pads
                self._touch(path, pad, numbers, times_s, values[:, list(pad.columns)])

    def _touch(
        self, path: str, pad: TouchPad, numbers: Numbers, times_s: Floats, cells: Floats
    ) -> None:
        rows, cols = pad.shape
        row, col = np.divmod(np.arange(rows * cols), cols)
        places = np.zeros((rows * cols, 3))
        places[:, 0] = (col - (cols - 1) / 2) * _CELL_M
        places[:, 1] = (row - (rows - 1) / 2) * _CELL_M
        self._log.once(path, rr.Points3D(places, radii=_CELL_M / 2))
        most = max(self._largest(numbers, list(pad.columns)), 1e-9)
        grey = np.clip(cells / most * 255, 0, 255).astype(np.uint8)
        colours = cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS)[..., ::-1].reshape(-1, 3)
        columns = rr.Points3D.columns(colors=colours).partition([rows * cols] * len(times_s))
        self._log.send(path, times_s, columns)

    def _largest(self, numbers: Numbers, columns: slice | list[int]) -> float:
        """Return the largest value of the whole episode, or if unknown of the first samples."""
        name = numbers.topic.stream
        if name not in self._most:
            values = self._frames.values(numbers.topic.stream, numbers.names)
            values = numbers.values if values is None else values
            self._most[name] = float(np.nanmax(np.abs(values[:, columns]), initial=0.0))
        return self._most[name]


def frame_ids(contents: Contents) -> dict[str, str]:
    """Return the frame that the first message of each wrench, pad, pose and cloud names, by topic."""
    sorts = (Sort.WRENCH, Sort.TACTILE, Sort.POSE, Sort.POINTS)
    wanted = {t.name for t in contents.topics if t.sort in sorts and contents.has_header(t)}
    found: dict[str, str] = {}
    try:
        for segment in read_columns(contents.episode.path, wanted) if wanted else ():
            for topic in set(segment.columns) - set(found):
                found |= _frame_id(topic, segment.columns[topic])
            if wanted == set(found):
                break
    except BagError:  # keep what comes before the damage; reading the whole bag reports it
        pass
    return found


def _frame_id(topic: str, column: Column) -> dict[str, str]:
    """Return the frame of the first message; empty: it has none."""
    if not len(column.payloads):
        return {}
    try:
        return {topic: header_frame_id(column.payloads[0])}
    except DecodeError:
        return {}
