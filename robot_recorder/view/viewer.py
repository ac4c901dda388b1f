"""Targets for an episode: a viewer on this screen, a browser, a running viewer, or a file."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import rerun as rr

from robot_recorder.model.errors import ConfigError

APPLICATION = "robot_recorder"
MEMORY = "4GB"  # limit of a viewer; an episode without --all takes up to a third of it
_ALL_MEMORY = "75%"


def new_recording() -> rr.RecordingStream:
    """Create a recording without a target."""
    return rr.RecordingStream(APPLICATION)


@contextmanager
def saved(recording: rr.RecordingStream, target: Path) -> Iterator[None]:
    """Write the recording to a file, which exists only once it is complete.

    Raises:
        ConfigError: it cannot be written.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()  # fails early; Rerun would only log an error
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error}") from error
    try:
        recording.save(partial)
        yield
        recording.disconnect()
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def connected(recording: rr.RecordingStream, url: str) -> None:
    """Send the recording to a running viewer.

    Raises:
        ConfigError: no viewer answers.
    """
    place = urlsplit(url)
    try:
        socket.create_connection((place.hostname or "", place.port or 0), timeout=5).close()
        recording.connect_grpc(url)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"no viewer answers at {url} ({error}); start one with 'rerun', which says where it listens"
        ) from error


def spawned(recording: rr.RecordingStream, everything: bool) -> None:
    """Open a viewer window, which stays open when this process ends.

    Raises:
        ConfigError: there is no screen.
    """
    if sys.platform == "linux" and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise ConfigError(
            "no screen to open the viewer on (neither DISPLAY nor WAYLAND_DISPLAY is set); write a file "
            "with --save episode.rrd, or look with a browser: --web"
        )
    os.environ.setdefault("RUST_LOG", "error")  # the viewer writes to the terminal of this command
    recording.spawn(memory_limit=_ALL_MEMORY if everything else MEMORY, hide_welcome_screen=True)


def served(recording: rr.RecordingStream, everything: bool) -> str:
    """Serve the recording to browsers while this process runs; return the address to open."""
    limit = _ALL_MEMORY if everything else MEMORY
    source = recording.serve_grpc(grpc_port=_free_port(), server_memory_limit=limit)
    port = _free_port()
    rr.serve_web_viewer(web_port=port, open_browser=False, connect_to=source)
    return f"http://localhost:{port}/?url={quote(source, safe=':/')}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
