"""What a robot is answered when the centre does not do what it asks."""

from __future__ import annotations

import logging

from robot_recorder.floor.centre.database.database import DatabaseError
from robot_recorder.floor.centre.json_log import log_event
from robot_recorder.floor.storage.port import StorageError, StorageTrouble
from robot_recorder.web.replies import Refused

_LOGGER = logging.getLogger(__name__)
UNKNOWN = "unknown"  # trouble: the centre does not know the episode; the robot offers it again


class RefusedRobot(Refused):
    """A robot's request that is answered with a reason.

    Attributes:
        trouble: what the robot can do about it: ``full``, ``denied``, ``unavailable``, ``wrong``,
            ``missing`` (ask for the upload again) or ``unknown`` (offer the episode again); empty:
            the status says it.
    """

    def __init__(self, status: int, message: str, trouble: str = "") -> None:
        """Create it with a sentence."""
        super().__init__(status, message)
        self.trouble = trouble


def of_storage(error: StorageError) -> RefusedRobot:
    """Return the answer when the storage does not do its part: the robot keeps everything and tries again."""
    return RefusedRobot(503, f"the storage of the centre: {error}", error.trouble.value)


def of_database(error: DatabaseError) -> RefusedRobot:
    """Return the answer when the database does not do its part; its address is for the log alone."""
    if error.retry:
        told = "the database of the centre cannot do this now: try again"
        return RefusedRobot(503, told, StorageTrouble.UNAVAILABLE.value)
    log_event(_LOGGER, "the database refused", logging.WARNING, why=str(error))
    return RefusedRobot(500, "the database of the centre refuses this: see the centre's log")


def send_again(message: str) -> RefusedRobot:
    """Return the answer when an upload is lost: the robot asks for it again with /agent/upload."""
    return RefusedRobot(503, message, StorageTrouble.MISSING.value)
