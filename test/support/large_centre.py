"""A centre on PostgreSQL and an S3 server, both of which can be broken and mended."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from robot_recorder.floor.sim.faults import FaultLinks, LinkState, SimFault
from robot_recorder.floor.sim.own_centre import OwnCentre
from support.postgres import postgres
from support.s3_servers import S3Server, radosgw


@contextmanager
def large_centre(folder: Path, with_users: bool = False) -> Iterator[OwnCentre]:
    """Run a centre whose database can be killed, and whose storage can be cut off.

    Skips the test where PostgreSQL or radosgw is missing and cannot be installed.

    Args:
        folder: of the centre.
        with_users: whether its pages ask for a password.
    """
    with ExitStack() as stack:
        data = Path(tempfile.mkdtemp(dir="/tmp"))
        stack.callback(shutil.rmtree, data, ignore_errors=True)
        data.chmod(0o755)
        database = stack.enter_context(postgres(data))
        server = stack.enter_context(radosgw(folder / "s3"))
        stack.enter_context(server.user.asking())
        at = urlsplit(server.endpoint)
        link = stack.enter_context(FaultLinks()).add(at.hostname or "", at.port or 80)
        over_link = S3Server(f"http://127.0.0.1:{link.port}", server.user)
        breaks = {
            SimFault.DATABASE_KILLED: (database.kill9, database.start),
            SimFault.STORAGE_GONE: (
                lambda: link.set(LinkState.DEAD),
                lambda: link.set(LinkState.OPEN),
            ),
        }
        centre = OwnCentre(
            folder / "centre", database.new_database(), over_link.url(server.bucket()),
            with_users=with_users, more_breaks=breaks,
        )  # fmt: skip
        yield stack.enter_context(centre)
