"""Errors a user can act on: each message names the thing and the fix."""


class RecorderError(Exception):
    """Base of all errors this package raises on purpose."""


class ConfigError(RecorderError):
    """A profile, task registry or parameter is wrong."""


class DecodeError(RecorderError):
    """A message's bytes are not what its type says."""


class BagError(RecorderError):
    """An episode or bag cannot be written, read or understood."""


class DiskError(BagError):
    """The disk does not take it now; the same may succeed later."""
