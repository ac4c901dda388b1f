"""The command ``centre``: take the floor's episodes in, sign receipts, serve the pages; tokens, users, key."""

from __future__ import annotations

import argparse
import importlib.util
import time
from pathlib import Path
from typing import Any

from robot_recorder.cli.arguments import add_centre_place, add_https
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.model.errors import ConfigError

_NEEDED = (
    "fastapi", "uvicorn", "websockets", "argon2", "cryptography", "psycopg", "psycopg_pool", "alembic",
    "prometheus_client",
)  # fmt: skip


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_centre_place(parser)
    parser.add_argument(
        "--name", default="centre", help="of the centre, in receipts; default: centre"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS",
        help="address to listen on; other than this machine's own need --users",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=8090, help="default: 8090; 0: any free one")
    parser.add_argument(
        "--users", type=Path, metavar="FILE", help="who may log in; see centre user"
    )
    add_https(parser)
    parser.add_argument(
        "--proxy", default="", metavar="ADDRESS",
        help="of a proxy that speaks HTTPS with browsers and robots, and whose X-Forwarded-For and "
        "X-Forwarded-Proto are believed",
    )  # fmt: skip
    parser.add_argument("--tasks", default="", metavar="FILE", help="the task registry")
    parser.add_argument("--review", type=Path, metavar="FILE", help="the review policy")
    parser.add_argument(
        "--metrics-token", type=Path, metavar="FILE", help="a secret that reads /metrics from afar"
    )
    parser.add_argument(
        "--verifiers",
        type=int,
        default=2,
        metavar="N",
        help="episodes read back at once; default: 2",
    )
    parser.add_argument(
        "--part-mib",
        type=int,
        default=8,
        metavar="N",
        help="size of the parts of uploads; default: 8",
    )


def _settings(options: argparse.Namespace, **more: Any) -> Any:
    """Return the centre's settings.

    Raises:
        ConfigError: a package is missing, or a setting is invalid.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the centre needs {', '.join(missing)}: "
            "pip install -r requirements/console.txt -r requirements/floor.txt"
        )
    from robot_recorder.floor.centre.settings import CentreSettings

    settings = CentreSettings(
        folder=options.folder.expanduser().absolute(), database=options.database,
        storage=options.storage, **more,
    )  # fmt: skip
    settings.check()
    return settings


def _run(options: argparse.Namespace) -> int:
    settings = _settings(
        options, name=options.name, host=options.host, port=options.port, users=options.users,
        certificate=options.certificate, key=options.key, allowed_hosts=tuple(options.allowed_host), proxy=options.proxy,
        tasks=options.tasks, review=options.review, metrics_token=options.metrics_token,
        verifiers=options.verifiers, part_bytes=options.part_mib << 20,
    )  # fmt: skip
    from robot_recorder.cli.terminal import say
    from robot_recorder.floor.centre.json_log import log_json
    from robot_recorder.floor.centre.server import serve

    log_json()
    serve(settings, say)
    return ExitCode.OK


def _robot_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("site", help="where the robot is, such as berlin")
    parser.add_argument("robot", help="its name, as in the ids of its episodes")
    add_centre_place(parser)


def _revoke_arguments(parser: argparse.ArgumentParser) -> None:
    _robot_arguments(parser)
    parser.add_argument(
        "--token", default="", metavar="NAME", help="only this one; its name is in token list"
    )


def _noted(db: Any, what: str, site: str, robot: str, message: str) -> None:
    """Write an entry of the audit log, by the user of this shell."""
    import getpass

    from robot_recorder.floor.centre.audit import AuditBook, FloorAudit

    fields = {"site": site, "robot": robot}
    entry = FloorAudit(getpass.getuser(), "shell", what, fields, True, message)
    AuditBook(db).add(entry, time.time_ns())


def _add_token(options: argparse.Namespace) -> int:
    import getpass

    from robot_recorder.cli.terminal import say

    settings = _settings(options)
    from robot_recorder.floor.centre.server import open_books
    from robot_recorder.floor.centre.tokens import Station, TokenBook

    with open_books(settings) as db:
        station = Station(options.site, options.robot)
        secret = TokenBook(db).add(station, getpass.getuser(), time.time_ns())
        _noted(db, "add token", options.site, options.robot, "")
    say(secret)
    return ExitCode.OK


def _list_tokens(options: argparse.Namespace) -> int:
    from datetime import datetime, timezone

    from robot_recorder.cli.terminal import say
    from robot_recorder.model.text import visible

    settings = _settings(options)
    from robot_recorder.floor.centre.server import open_books
    from robot_recorder.floor.centre.tokens import TokenBook

    with open_books(settings) as db:
        tokens = TokenBook(db).tokens()
    for token in tokens:
        made = datetime.fromtimestamp(token.made_ns // 10**9, timezone.utc)
        state = "valid" if token.revoked_ns is None else "revoked"
        say(
            f"{token.name}  {visible(token.station.site)}  {visible(token.station.robot)}  {state}  "
            f"{made:%Y-%m-%d}  {visible(token.made_by)}"
        )
    if not tokens:
        say("no tokens: robot-recorder centre token add SITE ROBOT makes one")
    return ExitCode.OK


def _revoke_token(options: argparse.Namespace) -> int:
    from robot_recorder.cli.terminal import say

    settings = _settings(options)
    from robot_recorder.floor.centre.server import open_books
    from robot_recorder.floor.centre.tokens import Station, TokenBook

    with open_books(settings) as db:
        station = Station(options.site, options.robot)
        count = TokenBook(db).revoke(station, options.token, time.time_ns())
        _noted(db, "revoke token", options.site, options.robot, f"{count} revoked")
    if not count:
        raise ConfigError(f"{options.robot} at {options.site} has no such valid token")
    say(f"{count} tokens are revoked, at once")
    return ExitCode.OK


def _say_key(options: argparse.Namespace) -> int:
    from robot_recorder.cli.terminal import say

    settings = _settings(options)
    from robot_recorder.bags.files import make_folder
    from robot_recorder.floor.receipts import load_signer

    make_folder(settings.folder)
    say(load_signer(settings.signing_key).public)
    return ExitCode.OK


def _backup_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", type=Path, help="folder of all backups")
    add_centre_place(parser)


def _restore_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "backup", type=Path, help="folder of one backup, such as backups/centre_20260131T101500Z"
    )
    add_centre_place(parser)


def _back_up(options: argparse.Namespace) -> int:
    """Write a backup of the database, and of the key that signs receipts."""
    import shutil

    from robot_recorder.cli.terminal import say

    settings = _settings(options)
    from robot_recorder.floor.centre.database.backup import back_up

    made = back_up(settings.database_url, options.target)
    try:
        if settings.signing_key.exists():
            shutil.copy2(settings.signing_key, made / settings.signing_key.name)
    except OSError as error:
        raise ConfigError(f"{made} lacks the key: {error.strerror or error}") from error
    say(f"{made}: the database and the key; episodes are in the storage, which has its own backups")
    return ExitCode.OK


def _restore(options: argparse.Namespace) -> int:
    import shutil

    from robot_recorder.cli.terminal import say

    settings = _settings(options)
    from robot_recorder.bags.files import make_folder
    from robot_recorder.floor.centre.database.backup import restore

    make_folder(settings.folder)
    restore(options.backup, settings.database_url)
    kept = options.backup / settings.signing_key.name
    try:
        if kept.exists() and not settings.signing_key.exists():
            shutil.copy2(kept, settings.signing_key)
    except OSError as error:
        raise ConfigError(f"{settings.signing_key} cannot be written: {error}") from error
    say("restored; now enter what came since: robot-recorder centre rebuild")
    return ExitCode.OK


def _rebuild_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sizes-only", action="store_true",
        help="compare only the size of an episode's data with its receipt, instead of reading all back",
    )  # fmt: skip
    add_centre_place(parser)


def _rebuild(options: argparse.Namespace) -> int:
    from robot_recorder.cli.terminal import say, say_error
    from robot_recorder.model.text import visible

    settings = _settings(options)
    from robot_recorder.floor.centre.database.rebuild import rebuild
    from robot_recorder.floor.centre.server import open_desk

    desk = open_desk(settings)
    try:
        done = rebuild(desk, time.time_ns, hashed=not options.sizes_only)
    finally:
        desk.close()
    for name, why in done.refused.items():
        say_error(f"{visible(name)}: {visible(why)}")
    say(
        f"{done.entered} episodes entered, {done.labelled} with more labels, {len(done.refused)} refused"
    )
    return ExitCode.FINDING if done.refused else ExitCode.OK


def _user_command() -> Command:
    """Return the console's command for users: the file is the same."""
    from robot_recorder.cli.console import COMMAND as CONSOLE

    user = CONSOLE.actions[0]
    return Command(
        name=user.name, summary=user.summary, add_arguments=user.add_arguments, run=user.run,
        examples=("robot-recorder centre user ann --role inspector",),
    )  # fmt: skip


_TOKEN = Command(
    name="token",
    summary="let robots send, or let them not any more",
    examples=("robot-recorder centre token add berlin robot_07",),
    actions=(
        Command(
            name="add",
            summary="make a token for a robot; it is printed once and kept nowhere",
            examples=(
                "robot-recorder centre token add berlin robot_07 --folder /srv/centre > token",
            ),
            add_arguments=_robot_arguments,
            run=_add_token,
        ),
        Command(
            name="list",
            summary="list the tokens, without their secrets",
            examples=("robot-recorder centre token list --folder /srv/centre",),
            add_arguments=add_centre_place,
            run=_list_tokens,
        ),
        Command(
            name="revoke",
            summary="revoke a robot's tokens, at once",
            examples=("robot-recorder centre token revoke berlin robot_07 --folder /srv/centre",),
            add_arguments=_revoke_arguments,
            run=_revoke_token,
        ),
    ),
)

COMMAND = Command(
    name="centre",
    summary="take in what robots send, sign receipts, serve review and the wall page",
    details="By itself it keeps everything in one folder, in SQLite and a directory. Logs are JSON on "
    "standard error.",
    examples=(
        "robot-recorder centre --folder /srv/centre --port 8090",
        "robot-recorder centre --folder /srv/centre --host 0.0.0.0 --users users.yaml --certificate c.pem --key k.pem",
        "robot-recorder centre token add berlin robot_07 --folder /srv/centre",
        "robot-recorder centre key --folder /srv/centre",
    ),
    add_arguments=_add_arguments,
    run=_run,
    actions=(
        _TOKEN,
        _user_command(),
        Command(
            name="key",
            summary="print the public key by which robots check receipts",
            examples=("robot-recorder centre key --folder /srv/centre",),
            add_arguments=add_centre_place,
            run=_say_key,
        ),
        Command(
            name="backup",
            summary="back up database and key, while the centre runs",
            examples=("robot-recorder centre backup /srv/backups --folder /srv/centre",),
            add_arguments=_backup_arguments,
            run=_back_up,
        ),
        Command(
            name="restore",
            summary="write a backup into a new database",
            examples=(
                "robot-recorder centre restore /srv/backups/centre_20260131T101500Z --folder /srv/centre",
            ),
            add_arguments=_restore_arguments,
            run=_restore,
        ),
        Command(
            name="rebuild",
            summary="enter what the storage has and the database lacks; end the centre first",
            examples=("robot-recorder centre rebuild --folder /srv/centre",),
            add_arguments=_rebuild_arguments,
            run=_rebuild,
        ),
    ),
)
