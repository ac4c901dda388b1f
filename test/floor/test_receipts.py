"""Receipts are believed only if the centre signed them for exactly these bytes."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cryptography")

from robot_recorder.floor.receipts import (
    Receipt,
    Signer,
    load_signer,
    receipt_problem,
    verified_bytes,
)
from robot_recorder.model.errors import ConfigError

SHA = "ab" * 32


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return load_signer(tmp_path / "centre.key")


def receipt(signer: Signer) -> Receipt:
    return signer.sign(Receipt("berlin", "g1_x", SHA, 5, 7, "centre", ""))


def problem(receipt: Receipt, *publics: str, size: int = 5) -> str:
    return receipt_problem(receipt, publics, "berlin", "g1_x", SHA, size)


def test_a_signed_receipt_is_believed_and_any_change_of_it_is_not(signer: Signer) -> None:
    good = receipt(signer)
    assert Receipt.from_plain(good.to_plain()) == good
    assert problem(good, signer.public) == ""
    changed: dict[str, Any] = {"site": "x", "episode": "x", "sha256": "cd" * 32, "size_bytes": 6,
                               "checked_ns": 8, "by": "x", "key": "x"}  # fmt: skip
    for name, value in changed.items():
        assert problem(replace(good, **{name: value}), signer.public), name
    raw = bytearray(base64.b64decode(good.signature))
    for place in range(len(raw)):
        raw[place] ^= 1
        assert "forged" in problem(
            replace(good, signature=base64.b64encode(raw).decode()), signer.public
        )
        raw[place] ^= 1
    assert problem(good, signer.public, size=6) == "it is for other data than that on this disk"


def test_a_receipt_of_another_key_is_not_believed(signer: Signer, tmp_path: Path) -> None:
    other = load_signer(tmp_path / "other.key")
    assert "is not the centre's" in problem(receipt(other), signer.public)
    assert "is not the centre's" in problem(receipt(signer))
    # while a key is changed both count
    assert problem(receipt(other), signer.public, other.public) == ""
    named = replace(receipt(other), key=signer.key_id)
    assert "forged" in problem(named, signer.public, other.public)


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "centre.key"
    first = load_signer(path)
    assert load_signer(path).public == first.public and path.stat().st_mode & 0o077 == 0
    path.write_text("not a key\n")
    with pytest.raises(ConfigError, match="cannot be used"):
        load_signer(path)


@pytest.mark.parametrize("plain", [None, [], {}, {"site": "x"}, "x"])
def test_what_is_not_a_receipt_is_refused(signer: Signer, plain: Any) -> None:
    with pytest.raises(ConfigError):
        Receipt.from_plain(plain)
    whole = receipt(signer).to_plain()
    for name in whole:
        with pytest.raises(ConfigError):
            Receipt.from_plain({**whole, name: None})
    with pytest.raises(ConfigError):
        Receipt.from_plain({**whole, "more": 1})


@pytest.mark.parametrize(
    "signature, public", [("", ""), ("x", "y"), ("é", "é"), ("AAAA", "A" * 43 + "=")]
)
def test_broken_signatures_and_keys_verify_nothing(signature: str, public: str) -> None:
    assert not verified_bytes(b"data", signature, public)
