"""Why episodes end."""

from enum import Enum


class StopReason(str, Enum):
    """Why an episode ended."""

    REQUEST = "request"
    MAX_LENGTH = "max_length"
    DISK_FULL = "disk_full"
    WRITE_ERROR = "write_error"
    SHUTDOWN = "shutdown"
