"""The command ``worker``: work the centre's jobs on this machine, or on a Ray cluster."""

from __future__ import annotations

import argparse
from pathlib import Path

from robot_recorder.cli.arguments import add_centre_place, number, whole_number
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.terminal import say
from robot_recorder.model.text import plural

_MOST_GB = 1e6


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    from robot_recorder.floor.centre.jobs.kinds import JobKind

    add_centre_place(parser)
    parser.add_argument(
        "--kind", action="append", default=[], choices=[kind.value for kind in JobKind],
        help="only jobs of this kind; may be repeated; default: all",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=whole_number(1), metavar="N", help="processes; default: one a processor"
    )
    parser.add_argument(
        "--on", default="", metavar="ADDRESS",
        help="work on Ray: 'ray' starts it here, or ray://host:port",
    )  # fmt: skip
    parser.add_argument(
        "--cache", type=Path, metavar="PATH", help="for local copies; default: cache in the folder"
    )
    parser.add_argument(
        "--cache-gb", type=number(0, _MOST_GB, "of GB"), default=20.0, metavar="GB",
        help="limit of the local copies; default: 20",
    )  # fmt: skip
    parser.add_argument(
        "--until-idle", action="store_true", help="stop when there is no job that can be worked"
    )


def _run(options: argparse.Namespace) -> int:
    import signal
    import threading

    from robot_recorder.cli.progress import working
    from robot_recorder.floor.centre.jobs.kinds import JobKind
    from robot_recorder.floor.centre.jobs.queue import Jobs
    from robot_recorder.floor.centre.jobs.worker import (
        JobWorker,
        WorkerSettings,
        opened_for_worker,
        pool_for_worker,
    )

    database, place = opened_for_worker(
        options.folder, options.database, options.storage, options.cache,
        round(options.cache_gb * 1e9),
    )  # fmt: skip
    pool = pool_for_worker(options.on, options.workers)
    kinds = tuple(JobKind(kind) for kind in options.kind) or tuple(JobKind)
    stop = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    worker = JobWorker(Jobs(database), place, pool, WorkerSettings(kinds=kinds))
    try:
        with working() as shown:
            done = worker.run(stop, options.until_idle, shown)
    finally:
        signal.signal(signal.SIGTERM, before)
        pool.close()
        database.close()
    rest = f", {done.put_off} to be tried again" if done.put_off else ""
    say(f"{plural(done.done, 'job')} done, {done.failed} failed{rest}")
    return ExitCode.FINDING if done.failed else ExitCode.OK


COMMAND = Command(
    name="worker",
    summary="work the centre's jobs: check, align, export, thumbnails",
    details="Any number of workers may run, on any machine that reaches the centre's database and storage; "
    "one that dies costs the time of a lease, and nothing is made twice.",
    examples=(
        "robot-recorder worker --folder /srv/centre",
        "robot-recorder worker --database postgresql://floor@db/floor --storage s3://episodes --kind check",
        "robot-recorder worker --folder /srv/centre --on ray://head:10001",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
