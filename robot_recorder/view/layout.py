"""Arranges an episode's views in the viewer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import rerun.blueprint as rrb

from robot_recorder.content.contents import Contents, Numbers, Topic
from robot_recorder.messages.kinds import Sort
from robot_recorder.messages.skeleton import beside
from robot_recorder.messages.urdf import RobotModel
from robot_recorder.model.streams import Role
from robot_recorder.model.value_names import joint_label, joint_of
from robot_recorder.view import document, labels, operator, robot
from robot_recorder.view import frames as alignment
from robot_recorder.view.curves import MOVING, OTHERS, Curves, grouped, of_joints
from robot_recorder.view.frames import EpisodeFrames
from robot_recorder.view.log import TIME, stream_entity
from robot_recorder.view.touch import map_entity, pad_name, pads, total_entity

# Positions of the viewer, in sizes of what is shown: the robot, or with an operator beside it.
_EYE, _EYE_OF_BOTH = (0.86, 0.48, 0.3), (0.84, 0.16, 0.17)
_PERSON_M = 1.7  # height of an operator
_MOST_PLOTS = 6  # of one stream of poses
MOST_CURVES = 6  # joints in one plot that can still be distinguished
# Shares of the height: pictures, time axis of the labels, each of their lanes, curves.
_TOP_SHARE, _AXIS_SHARE, _LANE_SHARE, _BOTTOM_SHARE = 4.3, 0.4, 0.52, 5.7
_MOST_LANES = 4  # lanes visible without scrolling
_JOINT_TABS = {"position": "Positions", "velocity": "Velocities", "effort": "Efforts"}
_Part: TypeAlias = rrb.View | rrb.Container


@dataclass(frozen=True)
class Layout:
    """What is arranged.

    Attributes:
        contents: of the episode.
        first: the first samples of each topic with numbers.
        frames: of the whole episode.
        model: the robot; None: it cannot be drawn.
    """

    contents: Contents
    first: Mapping[str, Numbers]
    frames: EpisodeFrames
    model: RobotModel | None

    def names(self, topic: Topic) -> tuple[str, ...]:
        """Return the names of a topic's values; empty: unknown."""
        found = self.frames.names.get(topic.stream)
        if not found and topic.name in self.first:
            found = self.first[topic.name].names
        return found or ()

    @cached_property
    def most(self) -> list[str]:
        """Return the joints that move most, sorted by how far."""
        travels: dict[str, float] = {}
        for topic in robot.driving(self.contents.topics):
            names = self.names(topic)
            values = self.frames.values(topic.stream, names)
            if values is None and topic.name in self.first:
                values = self.first[topic.name].values
            if values is None or not len(values):
                continue
            for number, name in enumerate(names):
                if name.startswith("position/"):
                    travel = float(np.ptp(values[:, number]))
                    travels.setdefault(joint_label(joint_of(name)), travel)
        return sorted(travels, key=lambda joint: -np.nan_to_num(travels[joint]))[:MOST_CURVES]

    def blueprint(self) -> rrb.Blueprint:
        """Return the whole layout."""
        rows = [
            _row(self._cameras() + self._robot() + [self._texts()]),
            rrb.StateTimelineView(
                origin=labels.ROOT, name="Labels", time_view=self._axis, titlebar=False
            ),
            _tabs([self._overview(), *self._details()]),
        ]
        lanes = 1 + len(labels.annotation_lanes(self.contents))
        middle = _AXIS_SHARE + _LANE_SHARE * min(lanes, _MOST_LANES)
        shares = [_TOP_SHARE, middle, _BOTTOM_SHARE]
        kept = [(row, share) for row, share in zip(rows, shares) if row is not None]
        return rrb.Blueprint(
            rrb.Vertical(*(row for row, _ in kept), row_shares=[share for _, share in kept]),
            rrb.BlueprintPanel(state="collapsed"),
            rrb.SelectionPanel(state="collapsed"),
            rrb.TimePanel(state="collapsed", timeline=TIME, play_state="playing", loop_mode="all"),
            auto_views=False,
            auto_layout=False,
        )

    @property
    def _axis(self) -> rrb.TimeAxis:
        """Return a time axis that shows the whole episode, whichever timeline is selected."""
        infinite = rrb.TimeRangeBoundary.infinite()
        return rrb.TimeAxis(view_range=rrb.TimeRange(infinite, infinite))

    def _plot(self, name: str, paths: Sequence[str], legend: bool = True) -> _Part:
        return rrb.TimeSeriesView(
            name=name,
            contents=[f"+ {path}" for path in paths],
            axis_x=self._axis,
            plot_legend=rrb.PlotLegend(rrb.Corner2D.LeftTop, visible=legend),
        )

    def _topics(self, *sorts: Sort) -> list[Topic]:
        return [t for t in self.contents.topics if t.sort in sorts and not t.unreadable]

    def _cameras(self) -> list[_Part]:
        return [
            rrb.Spatial2DView(origin=stream_entity(t.stream), name=_words(t.stream))
            for t in self._topics(Sort.IMAGE)
        ]

    def _robot(self) -> list[_Part]:
        """Return a view of the robot from the front, slightly from its left, scaled to its size.

        An operator beside it is in view, too.
        """
        if self.model is None:
            return []
        joints = np.array([pose[0, :3, 3] for pose in self.model.link_poses({}).values()])
        name, contents, eye_at = "Robot", ["$origin/**"], _EYE
        if operator.has_operator(self.contents):
            feet = beside(self.model)
            joints = np.concatenate((joints, [feet, feet + (0, 0, _PERSON_M)]))
            name, contents = "Robot and operator", [*contents, f"+ /{operator.ROOT}/**"]
            eye_at = _EYE_OF_BOTH
        low, high = joints.min(axis=0), joints.max(axis=0)
        centre, size = (low + high) / 2, float(np.linalg.norm(high - low)) or 1.0
        eye = rrb.EyeControls3D(
            kind=rrb.Eye3DKind.Orbital,
            position=centre + size * np.array(eye_at),
            look_target=centre,
            eye_up=(0.0, 0.0, 1.0),
        )
        return [
            rrb.Spatial3DView(origin=robot.ROOT, contents=contents, name=name, eye_controls=eye)
        ]

    def _texts(self) -> _Part:
        page = rrb.TextDocumentView(origin=document.PATH, name="Episode")
        if not self.contents.episode.events:
            return page
        columns = rrb.TextLogColumns(text_log_columns=["LogLevel", "Body"])
        history = rrb.TextLogView(origin=labels.HISTORY, name="Label history", columns=columns)
        return rrb.Tabs(page, history)

    def _overview(self) -> _Part | None:
        curves = [*self._joints("position")[:1], *self._of_wrenches("force")]
        if not curves:
            curves = self._plain(Sort.IMU, Sort.POSE, Sort.NUMBERS)[:3]
        touch = self._touch()
        sides = [_column(curves), _column([_row(touch[:-1]), *touch[-1:]]) if touch else None]
        return _row([side for side in sides if side is not None], [2, 1], "Overview")

    def _details(self) -> list[_Part | None]:
        wrenches = self._of_wrenches("force") + self._of_wrenches("torque")
        return [
            *(_row(self._joints(field), name=title) for field, title in _JOINT_TABS.items()),
            _row(wrenches, name="Forces and torques"),
            _grid(self._plain(Sort.IMU, Sort.POSE), "IMU and poses"),
            _grid(self._plain(Sort.NUMBERS), "Other numbers"),
            _row(self._alignment(), name="Alignment"),
        ]

    def _alignment(self) -> list[_Part]:
        found = self.frames.alignment
        if found is None or not len(found.frames):
            return []
        names = [stream.name for stream in found.streams]
        skews = [alignment.skew_entity(name) for name in names]
        lanes = rrb.StateTimelineView(
            name="Held or missing in the frames",
            time_view=self._axis,
            contents=[f"+ {alignment.status_entity(name)}" for name in names],
        )
        return [self._plot("Skew: stamp minus tick, ms", skews), lanes]

    def _joints(self, field: str) -> list[_Part]:
        """Return plots of the joints that move most, of these with commands, and of all joints."""
        paths: dict[tuple[bool, str], list[str]] = {}
        what = field
        for topic in self._topics(Sort.JOINTS):
            for curves in of_joints(self.names(topic), self.most):
                if curves.parts[0] == field:
                    key = topic.role is Role.ACTION, curves.parts[1]
                    paths.setdefault(key, []).append(stream_entity(topic.stream, *curves.parts))
                    what = f"{field}, {curves.unit}"
        measured, commanded = paths.get((False, MOVING), []), paths.get((True, MOVING), [])
        views: list[_Part] = []
        if measured:
            views.append(self._plot(f"Joints that move most: {what}", measured))
        if commanded:
            title = f"With commands (pale): {what}" if measured else f"Commands: {what}"
            views.append(self._plot(title, measured + commanded, legend=not measured))
        if any(which == OTHERS for _, which in paths):
            every = [path for found in paths.values() for path in found]
            views.append(self._plot(f"All joints: {what}", every, legend=False))
        return views

    def _of_wrenches(self, field: str) -> list[_Part]:
        paths, unit = [], ""
        for topic in self._topics(Sort.WRENCH):
            for curves in grouped(self.names(topic)):
                if curves.parts[0] == field:
                    paths.append(stream_entity(topic.stream, *curves.parts))
                    unit = curves.unit
        return [self._plot(f"{field.capitalize()}, {unit}", paths)] if paths else []

    def _touch(self) -> list[_Part]:
        """Return a map of each pad, then one plot of their sums."""
        maps: list[_Part] = []
        totals, unit = [], ""
        for topic in self._topics(Sort.TACTILE, Sort.NUMBERS):
            for pad in pads(topic, self.names(topic)):
                path = map_entity(topic.stream, pad)
                maps.append(rrb.Spatial2DView(origin=path, name=_words(pad_name(topic, pad))))
                totals.append(total_entity(topic.stream, pad))
                unit = f", {pad.unit}" if pad.unit not in ("", "1") else ""
        return [*maps, self._plot(f"Sum of each array{unit}", totals)] if maps else []

    def _plain(self, *sorts: Sort) -> list[_Part]:
        """Return one plot for each quantity of a stream."""
        return [
            self._plot(
                f"{_words(topic.stream)}: {' '.join(curves.parts).replace('_', ' ')}"
                + (f", {curves.unit}" if curves.unit not in ("", "1") else ""),
                [stream_entity(topic.stream, *curves.parts)],
            )
            for topic in self._topics(*sorts)
            for curves in self._curves(topic)
        ]

    def _curves(self, topic: Topic) -> list[Curves]:
        """Return the curves of a stream; of a body with many parts those that move furthest."""
        names = self.names(topic)
        found = grouped(names)
        if topic.sort is not Sort.POSE or len(found) <= _MOST_PLOTS:
            return found
        values = self.frames.values(topic.stream, names)
        if values is None:
            values = self.first[topic.name].values if topic.name in self.first else None
        places = [curves for curves in found if curves.parts[0] == "position"]
        if values is None or not len(values):
            return places[:_MOST_PLOTS]
        travels = np.nan_to_num(np.ptp(values, axis=0))
        places.sort(key=lambda curves: -float(travels[list(curves.columns)].max()))
        return places[:_MOST_PLOTS]


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _row(
    parts: Sequence[_Part], shares: Sequence[float] | None = None, name: str | None = None
) -> _Part | None:
    """Put views side by side; None: there are none.

    A single view gets a container only if it needs a name.
    """
    if len(parts) < 2 and name is None:
        return parts[0] if parts else None
    widths = list(shares)[: len(parts)] if shares else None
    return rrb.Horizontal(*parts, column_shares=widths, name=name) if parts else None


def _column(parts: Sequence[_Part | None]) -> _Part | None:
    there = [part for part in parts if part is not None]
    return rrb.Vertical(*there) if len(there) > 1 else next(iter(there), None)


def _grid(parts: Sequence[_Part], name: str) -> _Part | None:
    return rrb.Grid(*parts, name=name) if parts else None


def _tabs(parts: Sequence[_Part | None]) -> _Part | None:
    there = [part for part in parts if part is not None]
    return rrb.Tabs(*there) if there else None
