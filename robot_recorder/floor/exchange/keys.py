"""Public keys of other sites: given, or believed at the first meeting, and kept from then on."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path

from robot_recorder.bags.files import make_folder, replace_text
from robot_recorder.floor.receipts import key_id
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.plain_data import MOST_CONFIGURATION_BYTES, load_json


class SiteKeys:
    """The file with the public keys of other sites, by name."""

    def __init__(self, path: Path) -> None:
        """Read the file; a missing one has no keys.

        Raises:
            ConfigError: it cannot be read.
        """
        self.path = path
        self.known: dict[str, str] = {}
        try:
            text = path.read_text(encoding="utf-8") if path.exists() else "{}"
            plain = load_json(text[:MOST_CONFIGURATION_BYTES])
            if not isinstance(plain, dict):
                raise ValueError("it is not a mapping of sites to keys")
            self.known = {str(site): public_key(str(key)) for site, key in plain.items()}
        except (OSError, ValueError) as error:
            raise ConfigError(f"the keys of other sites {path} cannot be read: {error}") from error

    def trusted(self, site: str, offered: str, given: str = "", first_use: bool = False) -> str:
        """Return the public key by which a site is believed.

        Args:
            site: its name.
            offered: the key that what it sent names.
            given: by the user; empty: none.
            first_use: believe ``offered`` if no key of the site is known yet.

        Raises:
            ConfigError: the site's key is not known, or it is another.
        """
        known = self.known.get(site, "")
        if given and known and given != known:
            raise ConfigError(
                f"{site} is known by the key {key_id(known)}, not {key_id(given)}; if it has a new key, "
                f"delete the old one in {self.path}"
            )
        key = given or known or (offered if first_use else "")
        if not key:
            raise ConfigError(
                f"the public key of {site} is not known: ask them for it, and give it with --their-key; "
                f"or believe what is here with --trust-first (its key is {key_id(offered)})"
            )
        if key != offered:
            raise ConfigError(
                f"what is here is signed with the key {key_id(offered)}, but {site} has "
                f"{key_id(key)}: it was forged, or {site} has a new key"
            )
        return key

    def keep(self, site: str, key: str) -> None:
        """Keep a site's key for later.

        Raises:
            ConfigError: the file cannot be written.
        """
        if self.known.get(site) == key:
            return
        self.known[site] = key
        try:
            make_folder(self.path.parent)
            replace_text(self.path, json.dumps(self.known, indent=1, ensure_ascii=False) + "\n")
        except OSError as error:
            raise ConfigError(
                f"{self.path} cannot be written: {error.strerror or error}"
            ) from error


def public_key(text: str) -> str:
    """Return a public key, base64, after checking it.

    Raises:
        ConfigError: it is not an Ed25519 public key.
    """
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != 32:
        raise ConfigError(
            f"{text.strip()[:60]!r} is not a public key: it has 44 characters, as "
            "`robot-recorder exchange key` prints it"
        )
    return base64.b64encode(raw).decode()
