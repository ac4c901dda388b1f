"""Operators' names in what leaves a site: pseudonyms, and where names are that cannot be replaced.

A pseudonym is ``operator-`` and eight digits of HMAC-SHA-256(secret, name): the same for a name
everywhere and always, and without the secret nobody gets back to the name. Replaced are, in
``metadata.yaml``, the fact ``operator`` and of every label event ``operator_name`` and ``by``, also
where ``by`` is a program, because the two cannot be told apart. Notes are free text: drop them if they
may hold names.

Data files are sent as they are, byte by byte, or not at all: their hash is what receipts and
provenance are about. Bags of this recorder hold the operator's name in their label topics and in the
custom_data inside of the MCAP file, whenever an operator was set. ``names_in_data`` finds it, and such
an episode is not sent under pseudonyms unless it is asked for in so many words.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_recorder.bags.files import replace_text, set_mode
from robot_recorder.episodes.episode import Episode
from robot_recorder.floor.manifest import chunks_of, data_files
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.labels import dump_plain, load_plain

_LEAST_SECRET = 16  # bytes
_PSEUDONYM = re.compile(r"operator-[0-9a-f]{8}")
_NAMED_TYPES = {
    f"robot_recorder/msg/{name}" for name in ("Label", "Task", "EpisodeStatus", "ShiftStatus")
}
# A name in custom_data inside of a data file, as JSON in YAML and as YAML.
_INSIDE = re.compile(
    rb"""operator_name\\{0,2}"\s*:\s*\\{0,2}"[^"\\]|\n\s*operator: (?!''|""|\n)[^\s]"""
)
_OVERLAP = 64  # bytes of a chunk that are looked at again with the next


@dataclass(frozen=True)
class NameRules:
    """What becomes of names and notes on the way out.

    Attributes:
        secret: of the site, for pseudonyms; empty: names stay.
        drop_notes: leave out the notes of labels.
    """

    secret: bytes = b""
    drop_notes: bool = False

    @property
    def changes(self) -> bool:
        """Whether anything is changed at all."""
        return bool(self.secret) or self.drop_notes

    @property
    def mark(self) -> str:
        """Return what tells these rules from others, without giving the secret away; empty: none."""
        if not self.changes:
            return ""
        mac = hmac.new(self.secret, b"robot_recorder mark", hashlib.sha256).hexdigest()[:8]
        return (mac if self.secret else "names") + (" without notes" if self.drop_notes else "")

    def name(self, name: str) -> str:
        """Return what a name becomes; a pseudonym stays."""
        if not self.secret or not name or _PSEUDONYM.fullmatch(name):
            return name
        mac = hmac.new(self.secret, name.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"operator-{mac.hexdigest()[:8]}"

    def event(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a label event in plain form becomes."""
        changed = dict(plain)
        for key in ("by", "operator_name"):
            if isinstance(changed.get(key), str):
                changed[key] = self.name(changed[key])
        if self.drop_notes:
            changed.pop("note", None)
        return changed

    def facts(self, facts: Mapping[str, str]) -> dict[str, str]:
        """Return what custom_data becomes.

        Raises:
            BagError: the log of labels is invalid.
        """
        changed = dict(facts)
        if self.changes and changed.get("labels"):
            try:
                log = load_plain(changed["labels"])
            except (ValueError, TypeError) as error:
                raise BagError(f"its labels cannot be read: {error}") from error
            changed["labels"] = dump_plain([self.event(plain) for plain in log])
        if changed.get("operator"):
            changed["operator"] = self.name(changed["operator"])
        return changed


def load_secret(path: Path) -> bytes:
    """Read the secret of the site's pseudonyms; create it, for its owner alone, if it is missing.

    Raises:
        ConfigError: it cannot be read or written, or is too short.
    """
    try:
        if not path.exists():
            replace_text(path, secrets.token_hex(32) + "\n")
            set_mode(path, 0o600)
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(
            f"the secret of the pseudonyms {path} cannot be used: {error.strerror or error}"
        ) from error
    if len(secret) < _LEAST_SECRET:
        raise ConfigError(f"{path} has fewer than {_LEAST_SECRET} bytes: whoever sees a pseudonym "
                          "could guess it; delete the file, and a new one is made")  # fmt: skip
    return secret


def names_in_data(episode: Episode) -> str:
    """Return where an episode's data files hold names; empty: none are found.

    Compressed data is searched only by its topics.
    """
    topics = sorted(
        topic for topic, kind in episode.topics.items()
        if kind in _NAMED_TYPES and episode.counts.get(topic)
    )  # fmt: skip
    if topics:
        return "the topics " + ", ".join(topics)
    try:
        for path in data_files(episode.path):
            before = b""
            for chunk in chunks_of(path):
                if _INSIDE.search(before + chunk):
                    return f"the custom_data inside of {path.name}"
                before = chunk[-_OVERLAP:]
    except OSError as error:
        raise BagError(f"{episode.path} cannot be read: {error.strerror or error}") from error
    return ""
