"""Receipts: the centre's signed word that an episode's data is stored and was read back.

A signature is Ed25519 (RFC 8032) over the receipt's JSON with sorted keys and no spaces. Robots know
the centre's public key beforehand; without it, no receipt is believed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from robot_recorder.model.errors import ConfigError

_VERSION = 1


@dataclass(frozen=True)
class Receipt:
    """What the centre vouches for.

    Attributes:
        site: of the robot.
        episode: its id.
        sha256: of the manifest, ``Manifest.sha256``.
        size_bytes: of all data files.
        checked_ns: when they were read back, ns since the epoch, clock of the centre.
        by: name of the centre.
        key: id of the key that signed it, ``key_id``.
        signature: Ed25519 over all of the above, base64.
    """

    site: str
    episode: str
    sha256: str
    size_bytes: int
    checked_ns: int
    by: str
    key: str
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """Return what the signature is over."""
        plain = {k: v for k, v in asdict(self).items() if k != "signature"}
        text = json.dumps(plain | {"receipt": _VERSION}, sort_keys=True, separators=(",", ":"))
        return text.encode()

    def to_plain(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Any) -> Receipt:
        """Build a receipt from ``to_plain``; its signature is not checked yet.

        Raises:
            ConfigError: it is not a receipt.
        """
        kinds = {
            f.name: int if f.name in ("size_bytes", "checked_ns") else str for f in fields(cls)
        }
        if not isinstance(plain, dict) or plain.keys() != kinds.keys():
            raise ConfigError("a receipt has the fields " + ", ".join(kinds))
        for name, kind in kinds.items():
            if type(plain[name]) is not kind:
                raise ConfigError(f"'{name}' of a receipt is not a {kind.__name__}")
        return cls(**plain)


class Signer:
    """Signs receipts with the centre's private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Use a key; ``load_signer`` reads it from a file."""
        self._key = key
        self.public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
        self.key_id = key_id(self.public)

    def sign(self, receipt: Receipt) -> Receipt:
        """Return the receipt with key id and signature."""
        named = Receipt(**{**asdict(receipt), "key": self.key_id, "signature": ""})
        signature = base64.b64encode(self.sign_bytes(named.signed_bytes())).decode()
        return Receipt(**{**asdict(named), "signature": signature})

    def sign_bytes(self, data: bytes) -> bytes:
        """Return the signature of any bytes, 64 bytes."""
        return self._key.sign(data)


def key_id(public: str) -> str:
    """Return the short name of a public key: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public.encode()).hexdigest()[:16]


def load_signer(path: Path) -> Signer:
    """Read the centre's private key; create it, readable by its owner alone, if it is missing.

    Raises:
        ConfigError: it cannot be read, written, or is not a key.
    """
    try:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raw = base64.b64decode(path.read_text(), validate=False)
            return Signer(Ed25519PrivateKey.from_private_bytes(raw))
        key = Ed25519PrivateKey.generate()
        with open(fd, "w") as file:
            file.write(base64.b64encode(key.private_bytes_raw()).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        return Signer(key)
    except (OSError, ValueError, binascii.Error) as error:
        raise ConfigError(f"the centre's key {path} cannot be used: {error}") from error


def verified_bytes(data: bytes, signature: str, public: str) -> bool:
    """Return whether a signature (base64) of bytes is of a public key (base64)."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
        key.verify(base64.b64decode(signature, validate=True), data)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def receipt_problem(
    receipt: Receipt,
    publics: tuple[str, ...],
    site: str,
    episode: str,
    sha256: str,
    size_bytes: int,
) -> str:
    """Return why a receipt does not allow to delete an episode's data; empty: it does.

    Args:
        receipt: from the centre, or from anybody.
        publics: the centre's public keys, base64; several while a key is changed.
        site, episode, sha256, size_bytes: of the data on this disk.
    """
    known = {key_id(public): public for public in publics}
    if receipt.key not in known:
        return f"it is signed with the key {receipt.key[:20]!r}, which is not the centre's"
    if not verified_bytes(receipt.signed_bytes(), receipt.signature, known[receipt.key]):
        return "its signature is wrong: it was forged or changed"
    if (receipt.site, receipt.episode) != (site, episode):
        return f"it is for {receipt.site[:60]!r}/{receipt.episode[:60]!r}"
    if (receipt.sha256, receipt.size_bytes) != (sha256, size_bytes):
        return "it is for other data than that on this disk"
    return ""
