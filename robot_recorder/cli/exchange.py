"""The command ``exchange``: give episodes to another site, and take what another site gives."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_recorder.cli.arguments import Word, add_json, add_roots, number
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.terminal import say, say_error, say_json
from robot_recorder.model.text import plural

if TYPE_CHECKING:
    from robot_recorder.catalogue.catalogue import Catalogue
    from robot_recorder.floor.exchange.names import NameRules
    from robot_recorder.floor.exchange.shelf import Shelf

_MOST_S = 1e9
_MOST_LINES = 20


def _home() -> Path:
    """Return the folder of this site's key and secret, and of the keys of other sites."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "robot_recorder"


def _add_common(parser: argparse.ArgumentParser, site: str, where: str, flag: str) -> None:
    from robot_recorder.cli.filters import add_filter
    from robot_recorder.model.labels import Outcome
    from robot_recorder.quality.verdict import Verdict

    outcome, verdict = Word(Outcome), Word(Verdict)
    seconds = number(0, _MOST_S, "of seconds")
    parser.add_argument("site", help=site)
    parser.add_argument(flag, dest="url", required=True, metavar="URL", help=where)
    parser.add_argument("--as", dest="own", required=True, metavar="SITE", help="name of this site")
    add_filter(parser)
    parser.add_argument("--outcome", type=outcome, metavar="OUTCOME", help=str(outcome))
    parser.add_argument("--verdict", type=verdict, metavar="VERDICT", help=str(verdict))
    parser.add_argument("--longer", type=seconds, metavar="S", help="lasted at least this long")
    parser.add_argument("--shorter", type=seconds, metavar="S", help="lasted less than this")
    parser.add_argument(
        "--pseudonyms", type=Path, metavar="FILE",
        help="replace names of people by pseudonyms; the file keeps the site's secret, and is made "
        "if it is missing. When pulling: know own labels again that come back",
    )  # fmt: skip
    parser.add_argument("--no-notes", action="store_true", help="without the notes of labels")
    add_json(parser)


def _add_push(parser: argparse.ArgumentParser) -> None:
    where = "disk or bucket: a folder, or s3://BUCKET/PREFIX?endpoint=..."
    _add_common(parser, "the site that shall have them", where, "--to")
    add_roots(parser)
    parser.add_argument("--licence", default="", metavar="TEXT", help="such as CC-BY-4.0")
    parser.add_argument(
        "--key", type=Path, metavar="FILE",
        help="this site's private key; default: site.key in ~/.config/robot_recorder, made if missing",
    )  # fmt: skip
    parser.add_argument(
        "--names-in-bags", action="store_true",
        help="with --pseudonyms: send also episodes whose data files hold names, which stay there",
    )  # fmt: skip
    parser.add_argument(
        "--anew", action="store_true", help="send again what is there, because it is damaged"
    )


def _add_pull(parser: argparse.ArgumentParser) -> None:
    _add_common(parser, "the site that gave them", "disk or bucket, as for push", "--from")
    parser.add_argument(
        "root", nargs="?", default=Path("episodes"), type=Path,
        help="folder of episodes to add them to; default: episodes",
    )  # fmt: skip
    parser.add_argument(
        "--their-key", default="", metavar="KEY", help="the site's public key, or a file with it"
    )
    parser.add_argument(
        "--trust-first", action="store_true",
        help="believe the key that is found, if none of the site is known yet, from then on",
    )  # fmt: skip
    parser.add_argument(
        "--sites", type=Path, metavar="FILE",
        help="public keys of other sites; default: sites.json in ~/.config/robot_recorder",
    )  # fmt: skip


def _shelf(options: argparse.Namespace, sender: str, receiver: str) -> Shelf:
    from robot_recorder.floor.exchange.shelf import Shelf
    from robot_recorder.floor.storage.open import open_storage

    return Shelf(open_storage(options.url), sender, receiver)


def _names(options: argparse.Namespace) -> NameRules:
    from robot_recorder.floor.exchange.names import NameRules, load_secret

    secret = load_secret(options.pseudonyms) if options.pseudonyms is not None else b""
    return NameRules(secret, options.no_notes)


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(1000 * seconds)


def _push(options: argparse.Namespace) -> int:
    from robot_recorder.cli.roots import with_catalogues

    options.longer, options.shorter = _ms(options.longer), _ms(options.shorter)
    return with_catalogues(options.root, lambda catalogues: _push_from(catalogues, options))


def _push_from(catalogues: list[Catalogue], options: argparse.Namespace) -> int:
    from robot_recorder.bags.files import make_folder
    from robot_recorder.catalogue.query import Query
    from robot_recorder.cli.filters import filter_of
    from robot_recorder.cli.progress import working
    from robot_recorder.floor.exchange.exchange import PushOptions, push
    from robot_recorder.floor.receipts import load_signer
    from robot_recorder.model.errors import ConfigError

    filter = filter_of(options, catalogues)
    paths = [entry.path for one in catalogues for entry in Query(one, filter).all()]
    if not paths:
        raise ConfigError("no episode matches: nothing is pushed")
    key = options.key or _home() / "site.key"
    make_folder(key.parent)
    asked = PushOptions(options.licence, _names(options), options.names_in_bags, options.anew)
    shelf = _shelf(options, options.own, options.site)
    shelf.storage.check()  # not when pulling: a disk may be read-only
    with working() as shown:
        done = push(paths, shelf, load_signer(key), asked, shown)
    if options.json:
        say_json({"sent": done.sent, "unchanged": done.unchanged, "refused": done.refused,
                  "bytes": done.bytes})  # fmt: skip
    else:
        _print_refused(done.refused)
        say(f"{plural(len(done.sent), 'episode')} pushed for {options.site}, {done.bytes / 1e6:,.1f} MB "
            f"of data; {done.unchanged} unchanged, {len(done.refused)} refused")  # fmt: skip
    return ExitCode.FINDING if done.refused else ExitCode.OK


def _pull(options: argparse.Namespace) -> int:
    from robot_recorder.catalogue.query import Filter
    from robot_recorder.cli.progress import working
    from robot_recorder.floor.exchange.exchange import PullOptions, pull
    from robot_recorder.floor.store import open_store
    from robot_recorder.offline.structure import structure_problems

    filter = Filter(
        options.task, options.robot, options.operator, options.outcome, options.verdict,
        options.since, options.until, _ms(options.longer), _ms(options.shorter),
    )  # fmt: skip
    shelf = _shelf(options, options.site, options.own)
    known = _known(options, shelf)
    asked = PullOptions(filter, known, structure_problems, _names(options))
    with working() as shown:
        done = pull(open_store(options.root), shelf, asked, shown)
    if options.json:
        say_json({"added": done.added, "merged": done.merged, "unchanged": done.unchanged,
                  "left_out": done.left_out, "refused": done.refused})  # fmt: skip
    else:
        _print_refused(done.refused)
        say(f"{plural(len(done.added), 'episode')} added to {options.root}, {len(done.merged)} with new "
            f"labels, {done.unchanged} unchanged, {len(done.refused)} refused")  # fmt: skip
    return ExitCode.FINDING if done.refused else ExitCode.OK


def _known(options: argparse.Namespace, shelf: Shelf) -> dict[str, str]:
    """Return the public keys of known sites; the sender's is among them.

    Raises:
        ConfigError: the sender is not known, or what is there is not of its key.
    """
    from robot_recorder.floor.exchange.keys import SiteKeys, public_key
    from robot_recorder.model.errors import ConfigError

    keys = SiteKeys(options.sites or _home() / "sites.json")
    given = options.their_key
    if given:
        file = Path(given)
        given = public_key(file.read_text() if file.is_file() else given)
    manifests = shelf.manifests()
    if not manifests:
        raise ConfigError(f"{options.site} has pushed nothing for {options.own} to {options.url}")
    offered = manifests[0][0].public
    keys.keep(options.site, keys.trusted(options.site, offered, given, options.trust_first))
    return keys.known


def _print_refused(refused: dict[str, str]) -> None:
    for id, why in list(refused.items())[:_MOST_LINES]:
        say_error(f"refused: {id}: {why}")
    if len(refused) > _MOST_LINES:
        say_error(f"... and {len(refused) - _MOST_LINES} more")


def _add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key", type=Path, metavar="FILE",
        help="this site's private key; default: site.key in ~/.config/robot_recorder, made if missing",
    )  # fmt: skip


def _key(options: argparse.Namespace) -> int:
    from robot_recorder.bags.files import make_folder
    from robot_recorder.floor.receipts import load_signer

    path: Any = options.key or _home() / "site.key"
    make_folder(path.parent)
    say(load_signer(path).public)
    return ExitCode.OK


COMMAND = Command(
    name="exchange",
    summary="give episodes to another site, and take what another site gives",
    details="Over a bucket, or a disk in a bag. What arrives is verified before it appears; what was "
    "interrupted goes on where it was, and what is there is not sent again. Labels meet from both sides.",
    examples=(
        "robot-recorder exchange push munich /data/episodes --to /mnt/disk --as turin --licence CC-BY-4.0",
        "robot-recorder exchange pull turin /data/from_turin --from /mnt/disk --as munich --trust-first",
        "robot-recorder exchange key",
    ),
    actions=(
        Command(
            name="push",
            summary="lay down chosen episodes for another site",
            examples=(
                "robot-recorder exchange push munich /data/episodes --to /mnt/disk --as turin --licence CC0-1.0",
                "robot-recorder exchange push munich --task lift_box --to s3://shelf --as turin --pseudonyms s.txt",
            ),
            add_arguments=_add_push,
            run=_push,
        ),
        Command(
            name="pull",
            summary="take what another site has laid down for this one",
            examples=(
                "robot-recorder exchange pull turin /data/from_turin --from /mnt/disk --as munich --trust-first",
            ),
            add_arguments=_add_pull,
            run=_pull,
        ),
        Command(
            name="key",
            summary="print this site's public key, for the other sites",
            examples=("robot-recorder exchange key",),
            add_arguments=_add_key,
            run=_key,
        ),
    ),
)  # fmt: skip
