"""Arranges an episode's views in the viewer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
import rerun.blueprint as rrb

from robot_recorder.alignment.command_pairing import JointStream, pair
from robot_recorder.content.contents import Contents, Numbers, Topic
from robot_recorder.content.groups import changing, most_moving
from robot_recorder.messages.kinds import Sort
from robot_recorder.messages.skeleton import beside
from robot_recorder.messages.urdf import RobotModel
from robot_recorder.model.arrays import Floats
from robot_recorder.model.streams import Role
from robot_recorder.model.text import plural
from robot_recorder.model.value_names import joint_label, joint_of, split_name
from robot_recorder.view import document, labels, operator, robot
from robot_recorder.view import frames as alignment
from robot_recorder.view.clouds import cloud_entity
from robot_recorder.view.curves import MOVING, OTHERS, CurveChoice, Curves, late_entity
from robot_recorder.view.frames import EpisodeFrames
from robot_recorder.view.log import TIME, stream_entity
from robot_recorder.view.poses import TRAIL_S, by_frame
from robot_recorder.view.touch import map_entity, map_name, names_entity, total_entity, touch_maps

# Positions of the viewer, in sizes of what is shown: the robot, or with an operator beside it.
_EYE, _EYE_OF_BOTH = (0.86, 0.48, 0.3), (0.84, 0.16, 0.17)
_PERSON_M = 1.7  # height of an operator
_PAIRS = 4  # joint states in the overview
_MOST_PLOTS = 12  # in a tab
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
        first: the first samples of each stream with numbers.
        frames: of the whole episode.
        model: the robot; None: it cannot be drawn.
        frame_ids: frames of messages, by topic.
    """

    contents: Contents
    first: Mapping[str, Numbers]
    frames: EpisodeFrames
    model: RobotModel | None
    frame_ids: Mapping[str, str] = field(default_factory=dict)

    def names(self, topic: Topic) -> tuple[str, ...]:
        """Return the names of a topic's values; empty: unknown."""
        found = self.frames.names.get(topic.stream)
        if not found and topic.stream in self.first:
            found = self.first[topic.stream].names
        return found or ()

    @cached_property
    def pairs(self) -> list[tuple[Topic, list[Topic]]]:
        """Return joint states with the commands that they follow, those with commands first.

        A command that no joint state follows stands alone.
        """
        joints = self._topics(Sort.JOINTS)
        plan = self.contents.plan
        of = {s.name: s.of for s in plan.profile.streams} if plan else {}
        sides: dict[bool, list[JointStream]] = {True: [], False: []}
        for topic in joints:
            positions = [n for n in self.names(topic) if n.startswith("position/")]
            stream = JointStream(
                topic.stream, topic.name, frozenset(map(joint_of, positions)),
                of.get(topic.stream, ""),
            )  # fmt: skip
            sides[topic.role is Role.ACTION].append(stream)
        found = pair(sides[True], sides[False], lambda command, observed: 0.0).commands
        by_name = {t.stream: t for t in joints}
        follower = {c: name for name, commands in found.items() for c in commands}
        order = dict.fromkeys(follower.get(t.stream, t.stream) for t in joints)
        return [(by_name[n], [by_name[c] for c in found.get(n, ())]) for n in order]

    @cached_property
    def choices(self) -> dict[str, CurveChoice]:
        """Return what is drawn of each stream with numbers, by its name."""
        found = {}
        for topic in self.contents.topics:
            names = self.names(topic)
            if names and not topic.unreadable:
                found[topic.stream] = CurveChoice(names, self._constant(topic, names))
        for palette, (topic, commands) in enumerate(self.pairs):
            if topic.stream not in found:
                continue
            moving = {
                n for c in commands if c.stream in found
                for n in set(found[c.stream].names) - found[c.stream].constant
            }  # fmt: skip
            most = tuple(self._most(topic))
            mine = found[topic.stream]
            found[topic.stream] = replace(
                mine, most=most, palette=palette, constant=mine.constant - moving
            )
            for command in commands:
                if command.stream in found:
                    old = found[command.stream]
                    found[command.stream] = replace(old, most=most, palette=palette)
        return found

    def constant(self, late: Mapping[str, Collection[str]]) -> list[str]:
        """Return which values never change, one sentence for each quantity of a stream.

        Args:
            late: names of values that have turned out to change, by stream.
        """
        found = []
        for stream, choice in self.choices.items():
            counts = Counter(
                split_name(name)[0].rpartition("/")[0]
                for name in choice.names
                if name in choice.constant and name not in late.get(stream, ())
            )
            for part, count in counts.items():
                name = f"{stream}: {part}" if part else stream
                found.append(f"{name}, {plural(count, 'value')}")
        return found

    def _values(self, topic: Topic, names: tuple[str, ...]) -> Floats | None:
        """Return values of a stream from all over the episode; None: unknown."""
        found = self.frames.values(topic.stream, names)
        first = self.first.get(topic.stream)
        if first is not None and first.names == names:
            return first.values if found is None else np.concatenate((found, first.values))
        return found

    def _constant(self, topic: Topic, names: tuple[str, ...]) -> frozenset[str]:
        """Return the names of values that never change, as far as is known."""
        values = self._values(topic, names)
        if values is None or not len(values):
            return frozenset()
        return frozenset(n for n, moves in zip(names, changing(values)) if not moves)

    def _most(self, topic: Topic) -> list[str]:
        """Return the joints of a stream that move most, sorted by how far."""
        names = self.names(topic)
        values = self._values(topic, names)
        if values is None or not len(values):
            return []
        columns = [c for c, name in enumerate(names) if name.startswith("position/")]
        ranked = most_moving(values[:, columns], MOST_CURVES)
        return [joint_label(joint_of(names[columns[place]])) for place in ranked]

    def blueprint(
        self,
        late: Mapping[str, Collection[str]] | None = None,
        markers: Mapping[str, Collection[str]] | None = None,
    ) -> rrb.Blueprint:
        """Return the whole layout.

        Args:
            late: names of values that have turned out to change, by stream.
            markers: entities of markers that are not on the robot, by frame.
        """
        spaces = [*_marker_spaces(markers or {}), *self._spaces()]
        rows = [
            _row(self._cameras() + (self._robot() or spaces[:1]) + [self._texts()]),
            rrb.StateTimelineView(
                origin=labels.ROOT, name="Labels", time_view=self._axis, titlebar=False
            ),
            _tabs([self._overview(), *self._details(spaces), *self._late(late or {})]),
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
            rrb.Spatial2DView(origin=stream_entity(t.stream), name=t.stream)
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
        curves = [*self._joints("position", MOVING)[:_PAIRS], *self._of_wrenches("force")]
        if not curves:
            sorts = (Sort.IMU, Sort.POSE, Sort.NUMBERS, Sort.POINTS, Sort.AUDIO)
            curves = self._plain(*sorts)[:3]
        maps, sums = self._touch(named=False)
        touch = _column([_row(maps) if len(maps) < 3 else _grid(maps, ""), *sums])
        sides = [_column(curves), touch]
        return _row([side for side in sides if side is not None], [2, 1], "Overview")

    def _details(self, spaces: Sequence[_Part]) -> list[_Part | None]:
        wrenches = self._of_wrenches("force") + self._of_wrenches("torque")
        maps, sums = self._touch()
        return [
            *(
                part
                for field, title in _JOINT_TABS.items()
                for part in _pages(self._joints(field, MOVING, OTHERS), title)
            ),
            _row(wrenches, name="Forces and torques"),
            _row([part for part in (_column(maps), _column(sums)) if part], [3, 1], "Touch")
            if maps
            else None,
            _grid(spaces, "Poses and points"),
            *_pages(self._plain(Sort.IMU, Sort.POSE), "IMU and poses"),
            *_pages(self._plain(Sort.NUMBERS, Sort.POINTS, Sort.AUDIO), "Other numbers"),
            _row(self._alignment(), name="Alignment"),
        ]

    def _late(self, late: Mapping[str, Collection[str]]) -> list[_Part | None]:
        """Return plots of what was taken for constant, one for each stream."""
        parts = [
            self._plot(f"{stream}: changes late", [late_entity(stream, name) for name in names])
            for stream, names in late.items()
            if names
        ]
        return [_grid(parts, "Late changes")]

    def _spaces(self) -> list[_Part]:
        """Return 3D views: of poses in one frame each, and of clouds that are not on the robot."""
        views: list[_Part] = []
        for name, topics in by_frame(self._topics(Sort.POSE), self.frame_ids).items():
            paths = [stream_entity(t.stream, part) for t in topics for part in ("bodies", "trails")]
            trail = rrb.VisibleTimeRanges(
                timeline=TIME,
                start=rrb.TimeRangeBoundary.cursor_relative(seconds=-TRAIL_S),
                end=rrb.TimeRangeBoundary.cursor_relative(),
            )
            contents = [f"+ {path}/**" for path in paths]
            views.append(rrb.Spatial3DView(name=name, contents=contents, time_ranges=trail))
        links = self.links
        views += [
            rrb.Spatial3DView(origin=cloud_entity(t, links), name=t.stream)
            for t in self._topics(Sort.POINTS)
            if t.name not in links
        ]
        return views

    @property
    def links(self) -> dict[str, str]:
        """Return the links of the robot that messages are in, by topic."""
        there = self.model.links if self.model is not None else {}
        return {topic: frame for topic, frame in self.frame_ids.items() if frame in there}

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

    def _curves(self, topic: Topic) -> list[Curves]:
        """Return the curves of a stream that change."""
        choice = self.choices.get(topic.stream, CurveChoice())
        return choice.curves(topic, choice.names)

    def _left_out(self, topic: Topic, part: str) -> str:
        """Return how many values of a quantity are not drawn, as the end of a title."""
        constant = self.choices.get(topic.stream, CurveChoice()).constant
        count = sum(name.startswith(f"{part}/") for name in constant)
        return f" ({plural(count, 'constant value')} not drawn)" if count else ""

    def _joints(self, field: str, *kinds: str) -> list[_Part]:
        """Return plots of each joint state with its commands.

        Args:
            field: position, velocity or effort.
            kinds: MOVING, OTHERS: which joints.
        """
        views: list[_Part] = []
        for kind in kinds:
            for topic, commands in self.pairs:
                paths, unit, drawn = [], "", []
                for one in (topic, *commands):
                    found = [c for c in self._curves(one) if c.parts == (field, kind)]
                    paths += [stream_entity(one.stream, *c.parts) for c in found]
                    drawn += [one.stream] if found else []
                    unit = next((c.unit for c in found), unit)
                if not paths:
                    continue
                pale = [c.stream for c in commands if c.stream in drawn]
                title = topic.stream + (f" with {', '.join(pale)} (pale)" if pale else "")
                title += f": {'' if kind == MOVING else 'other '}{field}, {unit}"
                title += self._left_out(topic, field) if kind == kinds[0] else ""
                views.append(self._plot(title, paths))
        return views

    def _of_wrenches(self, field: str) -> list[_Part]:
        views: list[_Part] = []
        for topic in self._topics(Sort.WRENCH):
            found = [c for c in self._curves(topic) if c.parts[0] == field]
            if found:
                paths = [stream_entity(topic.stream, *curves.parts) for curves in found]
                title = f"{topic.stream}: {field}, {found[0].unit}"
                views.append(self._plot(title + self._left_out(topic, field), paths))
        return views

    def _touch(self, named: bool = True) -> tuple[list[_Part], list[_Part]]:
        """Return maps of pads and arrays, and one plot of the sums of each stream's.

        Args:
            named: whether pads have their names, for which small maps have no room.
        """
        maps: list[_Part] = []
        sums: list[_Part] = []
        for topic in self._topics(Sort.TACTILE, Sort.NUMBERS):
            found = touch_maps(topic, self.names(topic))
            maps += [
                rrb.Spatial2DView(
                    origin=map_entity(topic.stream, m),
                    contents=["$origin/**"]
                    if named or len(m.pads) == 1
                    else ["$origin/**", f"- {names_entity(topic.stream, m)}"],
                    name=map_name(topic, m),
                )
                for m in found
            ]
            if found:
                paths = [total_entity(topic.stream, m) for m in found]
                sums.append(self._plot(f"{topic.stream}: sum of each pad", paths))
        return maps, sums

    def _plain(self, *sorts: Sort) -> list[_Part]:
        """Return one plot for each quantity of a stream that changes."""
        return [
            self._plot(
                f"{topic.stream}: {'/'.join(curves.parts)}"
                + (f", {curves.unit}" if curves.unit not in ("", "1") else "")
                + self._left_out(topic, "/".join(curves.parts)),
                [stream_entity(topic.stream, *curves.parts)],
            )
            for topic in self._topics(*sorts)
            for curves in self._curves(topic)
        ]


def _marker_spaces(markers: Mapping[str, Collection[str]]) -> list[_Part]:
    """Return a 3D view of each frame that markers are in."""
    return [
        rrb.Spatial3DView(name=f"Markers in {frame}", contents=[f"+ {path}/**" for path in paths])
        for frame, paths in markers.items()
    ]


def _pages(parts: Sequence[_Part], name: str) -> list[_Part | None]:
    """Return as many tabs as it takes to show all views in a legible size."""
    pages = [parts[n : n + _MOST_PLOTS] for n in range(0, len(parts), _MOST_PLOTS)]
    return [_grid(page, name + (f" {n + 1}" if n else "")) for n, page in enumerate(pages)]


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
    return rrb.Grid(*parts, name=name or None) if parts else None


def _tabs(parts: Sequence[_Part | None]) -> _Part | None:
    there = [part for part in parts if part is not None]
    return rrb.Tabs(*there) if there else None
