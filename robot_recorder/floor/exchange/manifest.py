"""What one site tells another about the episodes that it gives away: signed manifests and provenance.

A manifest is one object of two lines: JSON, and the Ed25519 signature (base64) of exactly these bytes.
Manifests of a sender for a receiver are numbered without gaps, and each names the SHA-256 of the one
before, so that none can be left out unnoticed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from robot_recorder.floor.manifest import Manifest
from robot_recorder.floor.receipts import Signer, key_id, verified_bytes
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import checked_id, id_problem
from robot_recorder.model.plain_data import load_json
from robot_recorder.model.text import text_problem

LICENCE, PROVENANCE = "licence", "provenance"  # keys of custom_data
MOST_MANIFEST_BYTES = 256_000_000
_MOST_HOPS = 100
_VERSION = 1
_LATEST_NS = 1 << 63
_MANIFEST = b"robot_recorder exchange manifest\n"  # so a signature is valid for one kind only
_HOP = b"robot_recorder exchange hop\n"


@dataclass(frozen=True)
class ProvenanceHop:
    """One site that has passed an episode on.

    Attributes:
        site: its name.
        at_ns: when, ns since the epoch, clock of that site.
        sha256: of the episode's manifest, ``Manifest.sha256``.
        key: id of the site's key, ``receipts.key_id``.
        signature: Ed25519 of all of the above, the episode's id and the hop before, base64.
    """

    site: str
    at_ns: int
    sha256: str
    key: str
    signature: str = ""


def hop_bytes(episode: str, hop: ProvenanceHop, before: str) -> bytes:
    """Return what the signature of a hop is over.

    Args:
        episode: its id.
        hop: to be signed.
        before: signature of the hop before; empty: it is the first.
    """
    plain = {k: v for k, v in asdict(hop).items() if k != "signature"}
    text = json.dumps(plain | {"episode": episode, "before": before}, sort_keys=True)
    return _HOP + text.encode()


def with_hop(
    chain: tuple[ProvenanceHop, ...],
    signer: Signer,
    episode: str,
    site: str,
    sha256: str,
    now_ns: int,
) -> tuple[ProvenanceHop, ...]:
    """Return a chain with the signed hop of a site at its end."""
    hop = ProvenanceHop(site, now_ns, sha256, signer.key_id)
    data = hop_bytes(episode, hop, chain[-1].signature if chain else "")
    signature = base64.b64encode(signer.sign_bytes(data)).decode()
    return (*chain, ProvenanceHop(**{**asdict(hop), "signature": signature}))


def dump_chain(chain: tuple[ProvenanceHop, ...]) -> str:
    """Return the fact ``provenance``: a JSON list, the first site in front."""
    return json.dumps([asdict(hop) for hop in chain], separators=(",", ":"), ensure_ascii=False)


def load_chain(text: str) -> tuple[ProvenanceHop, ...]:
    """Read the fact ``provenance``.

    Raises:
        BagError: it is not a chain of hops.
    """
    try:
        return chain_of(load_json(text or "[]"))
    except ValueError as error:
        raise BagError(f"'{PROVENANCE}' of custom_data is invalid: {error}") from error


def chain_of(plain: Any) -> tuple[ProvenanceHop, ...]:
    """Build a chain from plain values, which may come from anybody.

    Raises:
        BagError: they are not a chain of hops.
    """
    names = [field.name for field in fields(ProvenanceHop)]
    if not isinstance(plain, list) or len(plain) > _MOST_HOPS:
        raise BagError(f"a provenance is a list of at most {_MOST_HOPS} hops")
    for hop in plain:
        if not isinstance(hop, dict) or sorted(hop) != sorted(names):
            raise BagError("a hop of a provenance has the fields " + ", ".join(names))
        for name, value in hop.items():
            if type(value) is not (int if name == "at_ns" else str):
                raise BagError(f"'{name}' of a provenance has the wrong type")
            if isinstance(value, int) and not 0 <= value < _LATEST_NS:
                raise BagError(f"'{name}' of a provenance is out of range")
            if isinstance(value, str) and (problem := text_problem("by", value, name)):
                raise BagError(problem)
        checked_id(hop["site"])
    return tuple(ProvenanceHop(**hop) for hop in plain)


def chain_problem(
    episode: str, sha256: str, chain: tuple[ProvenanceHop, ...], known: Mapping[str, str]
) -> str:
    """Return why a provenance is not believed; empty: it is.

    Hops of sites whose keys are not known here are carried along unverified.

    Args:
        episode: its id.
        sha256: of its manifest.
        chain: its provenance; the last hop is the sender's.
        known: public keys, base64, by site; the sender's is among them.
    """
    before = ""
    for number, hop in enumerate(chain, 1):
        public = known.get(hop.site)
        if hop.sha256 != sha256:
            return f"its provenance is of other data, says the hop of {hop.site}"
        if public is None and number == len(chain):
            return f"the key of {hop.site}, which sent it, is not known"
        if public is not None and hop.key == key_id(public):
            if not verified_bytes(hop_bytes(episode, hop, before), hop.signature, public):
                return f"its provenance is forged: the signature of {hop.site} is wrong"
        elif public is not None:
            return f"its provenance is forged: {hop.site} has another key"
        before = hop.signature
    return "" if chain else "it has no provenance"


@dataclass(frozen=True)
class ExchangedEpisode:
    """One episode of a manifest.

    Attributes:
        id: name of its directory.
        data: its data files.
        metadata: SHA-256 of its ``metadata.yaml``, as it was sent.
        licence: under which the sender gives it away.
        pseudonyms: mark of the rules by which names were replaced and notes dropped, ``NameRules.mark``;
            empty: nothing was.
        names_in_data: whether operators' names are known to be in its data files all the same.
        chain: sites that passed it on, the sender last.
    """

    id: str
    data: Manifest
    metadata: str
    licence: str
    pseudonyms: str
    names_in_data: bool
    chain: tuple[ProvenanceHop, ...]

    def to_plain(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "id": self.id, "files": self.data.to_plain(), "sha256": self.data.sha256,
            "metadata": self.metadata, "licence": self.licence, "pseudonyms": self.pseudonyms,
            "names_in_data": self.names_in_data, "provenance": [asdict(hop) for hop in self.chain],
        }  # fmt: skip

    @classmethod
    def from_plain(cls, plain: Any) -> ExchangedEpisode:
        """Build it from ``to_plain``.

        Raises:
            BagError: the values are invalid.
        """
        wanted = {"id": str, "files": list, "sha256": str, "metadata": str, "licence": str,
                  "pseudonyms": str, "names_in_data": bool, "provenance": list}  # fmt: skip
        _check(plain, wanted, "an episode of a manifest")
        data = Manifest.from_plain(plain["files"])
        if data.sha256 != plain["sha256"]:
            raise BagError(
                f"the files of {plain['id'][:60]!r} do not give the SHA-256 of the whole"
            )
        if len(plain["metadata"]) != 64 or set(plain["metadata"]) - set("0123456789abcdef"):
            raise BagError(f"the SHA-256 of the metadata of {plain['id'][:60]!r} is not one")
        for problem in (licence_problem(plain["licence"]), text_problem("by", plain["pseudonyms"])):
            if problem:
                raise BagError(problem)
        return cls(
            checked_id(plain["id"]), data, plain["metadata"], plain["licence"],
            plain["pseudonyms"], plain["names_in_data"], chain_of(plain["provenance"]),
        )  # fmt: skip


def licence_problem(licence: str) -> str:
    """Return why a text cannot be a licence; empty: it can."""
    return text_problem("by", licence, "the licence") if licence else "the licence is empty"


@dataclass(frozen=True)
class ExchangeManifest:
    """Episodes that one site gives to another at one time.

    Attributes:
        sender, receiver: names of the sites.
        number: of the manifest, from 1.
        before: SHA-256 of the object of the manifest before; empty: it is the first.
        at_ns: when it was signed, ns since the epoch, clock of the sender.
        public: the sender's public key, base64.
        episodes: new ones, and those whose metadata has changed.
    """

    sender: str
    receiver: str
    number: int
    before: str
    at_ns: int
    public: str
    episodes: tuple[ExchangedEpisode, ...]

    def to_bytes(self, signer: Signer) -> bytes:
        """Return the signed manifest."""
        plain = {
            "exchange": _VERSION, "sender": self.sender, "receiver": self.receiver,
            "number": self.number, "before": self.before, "at_ns": self.at_ns, "public": self.public,
            "episodes": [episode.to_plain() for episode in self.episodes],
        }  # fmt: skip
        body = json.dumps(plain, separators=(",", ":"), ensure_ascii=True).encode()
        return body + b"\n" + base64.b64encode(signer.sign_bytes(_MANIFEST + body)) + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> tuple[ExchangeManifest, bool]:
        """Read a manifest; return it, and whether its signature is of the key that it names.

        Whether that key is the sender's is for the caller to say.

        Raises:
            BagError: it is not a manifest.
        """
        body, _, rest = data.partition(b"\n")
        try:
            plain = load_json(body.decode())
        except ValueError as error:
            raise BagError(f"it is not a manifest: {error}") from error
        wanted = {"exchange": int, "sender": str, "receiver": str, "number": int, "before": str,
                  "at_ns": int, "public": str, "episodes": list}  # fmt: skip
        _check(plain, wanted, "a manifest")
        if plain["exchange"] != _VERSION:
            raise BagError(f"it is of version {plain['exchange']}, this one reads {_VERSION}")
        episodes = tuple(map(ExchangedEpisode.from_plain, plain["episodes"]))
        found = cls(
            checked_id(plain["sender"]), checked_id(plain["receiver"]), plain["number"],
            plain["before"], plain["at_ns"], plain["public"], episodes,
        )  # fmt: skip
        signature = rest.strip().decode("ascii", "replace")
        return found, verified_bytes(_MANIFEST + body, signature, found.public)


def _check(plain: Any, wanted: Mapping[str, type], what: str) -> None:
    if not isinstance(plain, dict) or plain.keys() != wanted.keys():
        raise BagError(f"{what} has the fields " + ", ".join(wanted))
    for name, kind in wanted.items():
        if type(plain[name]) is not kind:
            raise BagError(f"'{name}' of {what} is not a {kind.__name__}")


def digest(data: bytes) -> str:
    """Return the SHA-256 of an object, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def site_name(name: str) -> str:
    """Return the name of a site after checking it: it becomes part of paths.

    Raises:
        BagError: it cannot be the name of a site.
    """
    problem = id_problem(name) or text_problem("robot", name)
    if problem:
        raise BagError(f"{name[:60]!r} cannot be the name of a site: {problem}")
    return name
