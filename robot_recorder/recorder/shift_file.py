"""The file that a shift survives a restart in: ``<root>/.shift/<robot>.json``."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robot_recorder.bags.files import make_folder, read_regular, rename_durably, replace_text
from robot_recorder.model.plain_data import load_json

FOLDER = ".shift"
_MOST_BYTES = 16_000_000


class ShiftFile:
    """Reads and replaces the file of one robot's shift.

    Attributes:
        path: of the file.
        problem: why it could not be written last time; empty: it was.
    """

    def __init__(self, root: Path, robot: str) -> None:
        """Name the file; nothing is read yet."""
        self.path = root / FOLDER / f"{robot}.json"
        self.problem = ""
        self._written = ""

    def load(self) -> dict[str, Any] | None:
        """Return what was saved; None: nothing. A file that cannot be read is moved aside and reported."""
        try:
            text = read_regular(self.path, _MOST_BYTES)
            plain = load_json(text)
            if not isinstance(plain, dict):
                raise ValueError("it is not a mapping")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self.reject(str(error))
            return None
        return plain

    def reject(self, why: str) -> None:
        """Move the file aside, so that nothing overwrites it, and report why."""
        aside = self.path.with_suffix(f".unreadable-{os.getpid()}")
        log = logging.getLogger(__name__)
        try:
            rename_durably(self.path, aside)
            log.error(
                "the last shift is lost: %s cannot be read: %s; it is kept as %s",
                self.path,
                why,
                aside.name,
            )
        except OSError as error:
            log.error(
                "the last shift is lost: %s cannot be read: %s; nor moved: %s",
                self.path,
                why,
                error,
            )

    def save(self, plain: Mapping[str, Any]) -> None:
        """Replace the file durably if its content changes; a failure is kept in ``problem``."""
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
        if text == self._written:
            return
        try:
            make_folder(self.path.parent)
            replace_text(self.path, text)
        except OSError as error:
            self.problem = f"the shift cannot be saved: {self.path}: {error.strerror or error}"
        else:
            self.problem, self._written = "", text
