"""Errors that a user can fix: each message names the thing, the problem and the fix."""


class RecorderError(Exception):
    """Base class of all errors that this package raises."""


class ConfigError(RecorderError):
    """A profile, task registry or parameter is invalid."""


class DecodeError(RecorderError):
    """The bytes of a message do not fit its type."""


class EncodeError(RecorderError):
    """A picture cannot be encoded as its profile says."""


class BagError(RecorderError):
    """An episode or bag cannot be written or read, or is invalid."""


class DiskError(BagError):
    """The disk is full, failing or gone; the same operation may succeed later."""
