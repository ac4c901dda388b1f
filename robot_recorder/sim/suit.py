"""Reads the links of a motion-capture suit from its messages, whatever type they have, and retargets them."""

from __future__ import annotations

import mujoco
import numpy as np

from robot_recorder.messages.installed_types import message_definition
from robot_recorder.messages.kinds import kind_of, needs_definition, stream_decoder
from robot_recorder.messages.skeleton import Body, bodies
from robot_recorder.messages.stamps import StampReader
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.model.streams import RobotProfile
from robot_recorder.sim.hand_commands import HandPose, pose_of
from robot_recorder.sim.retarget import Retargeted, Retargeting, arms_of

SUIT = "suit"  # name of its stream in a profile


class Suit:
    """A suit, as the profile that records it describes it.

    Attributes:
        stream: of the profile.
        retargeting: from its links to the robot's hands.
    """

    def __init__(self, profile: RobotProfile, model: mujoco.MjModel, scale: float = 1.0) -> None:
        """Prepare to read its messages.

        Args:
            profile: of the robot.
            model: of the robot; used for kinematics only.
            scale: as of `Retargeting`.

        Raises:
            ConfigError: no stream of the profile has the links of a suit.
        """
        found = next((stream for stream in profile.streams if stream.name == SUIT), None)
        if found is None:
            raise ConfigError(
                f"profile '{profile.robot}' has no stream '{SUIT}' with a suit's links"
            )
        self.stream = found
        definition = message_definition(found.type)
        decode = stream_decoder(found, definition if needs_definition(found) else "")
        if decode is None:
            raise ConfigError(f"stream '{SUIT}': {found.type} has no values")
        self._decode = decode
        self._stamps = StampReader(found, kind_of(found).has_header, definition)
        self.retargeting = Retargeting(arms_of(model), scale)
        self._values: tuple[str, ...] = ()
        self._bodies: list[Body] = []
        self._last: dict[str, np.ndarray] = {}

    def heard(self, data: bytes, sent_ns: int) -> tuple[int, dict[str, Retargeted]]:
        """Return the stamp of a message, ns of the suit's clock, and what it wants of the hands.

        A link whose numbers are invalid, or exactly those of before, is unknown: no sensor is that still.

        Args:
            data: CDR bytes.
            sent_ns: when the middleware says that it was sent.
        """
        try:
            decoded = self._decode(data)
        except DecodeError:
            return 0, {}
        if decoded.names != self._values:
            self._values, self._bodies = decoded.names, bodies(decoded.names)
        links = [self._pose(body, np.asarray(decoded.values)) for body in self._bodies]
        wishes = self.retargeting.wishes([body.name for body in self._bodies], links)
        return self._stamps.one(data, sent_ns, sent_ns) or sent_ns, wishes

    def _pose(self, body: Body, values: np.ndarray) -> HandPose | None:
        if not body.orientation:
            return None
        numbers = values[[*body.position, *body.orientation]]
        before, self._last[body.name] = self._last.get(body.name), numbers
        if before is not None and (numbers == before).all():
            return None
        return pose_of(numbers[:3], numbers[3:])
