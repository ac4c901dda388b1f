"""An episode can go to a file, a screen, a browser or a running viewer."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rerun")

import rerun_cli
from rerun.experimental import ViewerClient
from support.described import described_robot

from robot_recorder.content.contents import Contents
from robot_recorder.model.errors import ConfigError
from robot_recorder.view import viewer
from robot_recorder.view.episode import log_episode

_PATIENCE_S = 60


@pytest.fixture
def running_viewer() -> Iterator[ViewerClient]:
    """Start a real viewer without a window."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    binary = Path(rerun_cli.__file__).with_name("rerun")
    process = subprocess.Popen(
        [str(binary), "--headless", "--port", port],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield _answering(f"rerun+http://127.0.0.1:{port}/proxy", process)
    finally:
        process.terminate()
        process.wait()


def _answering(url: str, process: subprocess.Popen[bytes]) -> ViewerClient:
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        if process.poll() is not None:
            pytest.skip("Rerun's viewer needs a Vulkan driver, such as mesa-vulkan-drivers")
        try:
            client = ViewerClient.connect(url)
            client.get_state()
            return client
        except ConnectionError:
            time.sleep(0.05)
    pytest.fail("the viewer did not answer")


def screenshot(viewer: ViewerClient, until: float) -> bytes:
    """Return a picture, PNG; a machine without a graphics card may take longer than the viewer waits."""
    while True:
        try:
            return viewer.take_screenshot()
        except TimeoutError:
            if time.monotonic() > until:
                raise


def test_a_real_viewer_shows_an_episode_without_complaints(
    running_viewer: ViewerClient, tmp_path: Path
) -> None:
    contents = Contents.open(described_robot(tmp_path / "one"))
    recording = viewer.new_recording()
    viewer.connected(recording, running_viewer.url)
    log_episode(contents, recording)
    until = time.monotonic() + _PATIENCE_S
    while True:
        state = running_viewer.get_state()
        names = {view.name for view in state.views}
        if {"camera", "Robot", "palm, Pa"} <= names:
            break
        assert time.monotonic() < until, f"the viewer shows {names}"
        time.sleep(0.05)
    running_viewer.set_time("episode_time", duration=2.0, play_state="paused")
    assert screenshot(running_viewer, until).startswith(b"\x89PNG")
    state = running_viewer.get_state()
    assert not [(view.name, view.reports) for view in state.views if view.reports]
    (timeline,) = (t for t in state.recordings[0].timelines if t.name == "episode_time")
    assert timeline.start == -500_000_000 and timeline.end and timeline.end < 4_000_000_000
    entities = running_viewer.get_recording_schema(paths_only=True).entities
    assert "/streams/camera" in {entity.entity_path for entity in entities}


def test_a_file_exists_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "one.rrd"
    recording = viewer.new_recording()
    with pytest.raises(KeyError), viewer.saved(recording, target):
        assert not target.exists() and list(target.parent.iterdir())
        raise KeyError("something fails meanwhile")
    assert not list(target.parent.iterdir())
    (tmp_path / "file").touch()
    below = viewer.saved(recording, tmp_path / "file" / "one.rrd")
    with pytest.raises(ConfigError, match="cannot be written"), below:
        pass


@pytest.mark.parametrize("url", ["nonsense", "rerun+http://127.0.0.1:1/proxy"])
def test_a_missing_viewer_is_an_error(url: str) -> None:
    with pytest.raises(ConfigError, match="no viewer answers at"):
        viewer.connected(viewer.new_recording(), url)


def test_without_a_screen_the_error_names_alternatives(monkeypatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(ConfigError, match=r"--save .* --web"):
        viewer.spawned(viewer.new_recording(), everything=False)


def test_a_browser_is_served() -> None:
    recording = viewer.new_recording()
    url = viewer.served(recording, everything=False)
    page = url.partition("?")[0]
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(page) as answer:
                assert b"<html" in answer.read().lower()
            break
        except OSError:
            assert time.monotonic() < until, f"{page} is not served"
            time.sleep(0.05)
    assert "%2B" in url, "a plus in an address means a space"
    recording.disconnect()
