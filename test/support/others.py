"""Other processes and other users of the machine."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

# Worst that another user with read access can do: open and lock every file.
GRAB = """
    import fcntl, os, sys, time
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    for place, folders, names in os.walk(sys.argv[1]):
        for path in [place, *(os.path.join(place, n) for n in names)]:
            try:
                fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                pass
    print("ready", flush=True)
    time.sleep(60)
"""


@contextmanager
def another(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run another process and wait until it prints that it is ready."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None and running.stdout.readline() == "ready\n"
        yield running
    finally:
        running.kill()
        running.communicate()
