"""The kinds of jobs that a centre has, and their settings."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from robot_recorder.configuration.profile import LEAST_RATE_HZ, MOST_RATE_HZ
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.text import text_problem


class JobKind(str, Enum):
    """What is made of episodes."""

    CHECK = "check"  # the quality report of one episode
    ALIGN = "align"  # one episode's table of frames
    THUMBNAIL = "thumbnail"  # a small picture of one episode
    EXPORT = "export"  # a dataset of one or more episodes


def is_of_labels(kind: JobKind) -> bool:
    """Tell whether the output of a kind depends on labels."""
    return kind is JobKind.EXPORT


def checked_settings(kind: JobKind, plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a job with all defaults, after checking them.

    Of ``align`` and ``export``: ``rate_hz`` (null: the robot profile's) and ``reference`` (a stream);
    of ``export`` also ``format``, ``causal`` and ``operators`` (their names: ``kept`` or ``left_out``).

    Raises:
        ConfigError: a setting is unknown or invalid.
    """
    known: dict[str, Any] = {}
    if kind in (JobKind.ALIGN, JobKind.EXPORT):
        known |= {"rate_hz": None, "reference": ""}
    if kind is JobKind.EXPORT:
        known |= {"format": "lerobot", "causal": False, "operators": "left_out"}
    if unknown := plain.keys() - known.keys():
        there = ", ".join(known) or "none"
        raise ConfigError(f"{kind.value} has no setting {min(unknown)[:60]!r}; there are: {there}")
    settings = {**known, **plain}
    rate_hz = settings.get("rate_hz")
    if rate_hz is not None:
        if type(rate_hz) not in (int, float) or not LEAST_RATE_HZ <= rate_hz <= MOST_RATE_HZ:
            raise ConfigError(
                f"rate_hz is {LEAST_RATE_HZ:g} to {MOST_RATE_HZ:g}, not {rate_hz!r:.40}"
            )
        settings["rate_hz"] = float(rate_hz)
    if "reference" in settings:
        reference = settings["reference"]
        problem = text_problem("by", reference) if isinstance(reference, str) else "it is no text"
        if problem:
            raise ConfigError(f"'reference' is invalid: {problem}")
    if kind is JobKind.EXPORT:
        from robot_recorder.dataset.formats.table import formats  # loads what writes them

        if settings["format"] not in formats():
            raise ConfigError(f"'format' is one of {', '.join(formats())}")
        if type(settings["causal"]) is not bool:
            raise ConfigError("'causal' is true or false")
        if settings["operators"] not in ("kept", "left_out"):
            raise ConfigError("'operators' is kept or left_out")
    return settings
