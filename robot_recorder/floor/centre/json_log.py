"""Logs as JSON, one line per event."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import datetime, timezone
from typing import Any

_FIELDS = "fields"  # of a record
_MOST_CHARS = 2000  # of a text


class JsonFormatter(logging.Formatter):
    """Makes a line of JSON of a record: time, level, logger, event, and the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.fromtimestamp(record.created, timezone.utc)
        plain: dict[str, Any] = {
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "from": record.name.removeprefix("robot_recorder."),
            "event": record.getMessage()[:_MOST_CHARS],
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            plain["error"] = "".join(traceback.format_exception(record.exc_info[1]))[-8000:]
        return json.dumps(plain, default=str)


def log_json(level: int = logging.INFO) -> None:
    """Let all logs of this process go to standard error as JSON."""
    root = logging.getLogger()
    for other in root.handlers[:]:
        # For people; what else listens goes on.
        if type(other) is logging.StreamHandler or other is logging.lastResort:
            root.removeHandler(other)
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    root.addHandler(handler)
    root.setLevel(level)
    for noisy in ("botocore", "boto3", "urllib3", "alembic", "psycopg.pool"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def log_event(logger: logging.Logger, event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Log an event with fields.

    Args:
        logger: of the module.
        event: in a few words, always the same for the same kind.
        level: of ``logging``.
        fields: plain values; names of the formatter's own fields are not allowed.
    """
    logger.log(level, "%s", event, extra={_FIELDS: fields})
