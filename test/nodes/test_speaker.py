"""The loudspeaker: real programs where they are installed, small ones on PATH for what they do wrong."""

from __future__ import annotations

import os
import shutil
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.children import is_running

rclpy = pytest.importorskip("rclpy")


from robot_recorder.configuration.find import load_words
from robot_recorder.configuration.words import LANGUAGES
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.speaker import Speaker

pytestmark = pytest.mark.ros

NONE: frozenset[str] = frozenset()
ESPEAK = shutil.which("espeak-ng")


class Room:
    """A folder with the only programs that are found, and what was heard of them."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.record = folder / "bin", folder / "heard"
        self.bin.mkdir()
        self.record.touch()

    def program(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\nPATH={os.defpath}:/bin:/usr/bin\n{script}\n")
        path.chmod(0o755)

    def player(self, name: str = "aplay", then: str = "") -> None:
        """Install a player that notes the event of what it plays."""
        self.program(
            name, f'for f; do :; done\necho "tone $(basename $f .wav)" >> {self.record}\n{then}'
        )

    def voice(self, then: str = "") -> None:
        """Install a voice that notes its options and what it says."""
        self.program("espeak-ng", f'text=$(cat)\necho "$2: $text" >> {self.record}\n{then}')

    def heard(self) -> list[str]:
        return self.record.read_text().splitlines()

    def until(self, *lines: str) -> None:
        wait(f"{lines}", lambda: len(self.heard()) >= len(lines))
        assert self.heard() == list(lines)


def wait(what: str, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, f"waited 20 s for {what}"
        time.sleep(0.01)


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    made = Room(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    return made


@pytest.fixture
def speak(log: NodeLog) -> Iterator[Callable[..., Speaker]]:
    made: list[Speaker] = []

    def build(
        language: str = "en", tones: bool = True, speech: bool = True, quiet: frozenset[str] = NONE
    ) -> Speaker:
        made.append(Speaker(language, tones, speech, quiet, log))
        return made[-1]

    yield build
    for speaker in made:
        speaker.close()


def test_an_event_is_a_tone_and_a_sentence(room: Room, speak: Callable[..., Speaker]) -> None:
    room.player()
    room.voice()
    speaker = speak()
    speaker.say("start", "Take 3.")
    room.until("tone start", "en: Take 3.")
    speaker.say("begin", "Shift begins.")
    room.until("tone start", "en: Take 3.", "en: Shift begins.")


@pytest.mark.parametrize("language, voice", [("en", "en"), ("de", "de"), ("zh", "cmn")])
def test_each_language_has_its_voice(
    room: Room, speak: Callable[..., Speaker], language: str, voice: str
) -> None:
    room.voice()
    speak(language, tones=False).say("stop", "已停止。")
    room.until(f"{voice}: 已停止。")


def test_tones_speech_and_single_events_can_be_switched_off(
    room: Room, speak: Callable[..., Speaker]
) -> None:
    room.player()
    room.voice()
    speak(tones=False, speech=False).say("start", "nothing")
    speak(speech=False).say("stop", "only the tone")
    room.until("tone stop")
    speak(tones=False).say("stop", "only the words")
    room.until("tone stop", "en: only the words")
    quiet = speak(quiet=frozenset({"start"}))
    quiet.say("start", "hushed")
    quiet.say("begin", "heard")
    room.until("tone stop", "en: only the words", "en: heard")


def test_the_best_player_that_is_installed_is_taken(
    room: Room, speak: Callable[..., Speaker]
) -> None:
    room.player("aplay", "echo wrong >> /dev/null")
    room.player("pw-play", f"echo pipewire >> {room.record}")
    speak(speech=False).say("stop", "")
    room.until("tone stop", "pipewire")


def test_something_important_interrupts_and_what_is_late_is_left_out(
    room: Room, speak: Callable[..., Speaker]
) -> None:
    room.voice("case $text in slow*) sleep 30;; long*) sleep 2.5;; esac")
    speaker = speak(tones=False)
    speaker.say("success", "slow")
    room.until("en: slow")
    speaker.say("reject", "rejected")
    room.until("en: slow", "en: rejected")
    speaker.say("lost", "long")
    speaker.say("start", "late")
    speaker.say("stop", "late, too")
    speaker.say("accept", "newest")
    speaker.say("disk", "important")
    room.until("en: slow", "en: rejected", "en: long", "en: important", "en: newest")


def test_important_things_do_not_interrupt_each_other(
    room: Room, speak: Callable[..., Speaker]
) -> None:
    room.voice(f"sleep 0.3; echo end >> {room.record}")
    speaker = speak(tones=False)
    speaker.say("reject", "one")
    wait("it", lambda: bool(room.heard()))
    speaker.say("lost", "two")
    room.until("en: one", "end", "en: two", "end")


def test_missing_programs_are_told_once_with_what_to_install(
    room: Room, speak: Callable[..., Speaker], capfd: pytest.CaptureFixture[str]
) -> None:
    speaker = speak()
    for _ in range(3):
        speaker.say("start", "Take 1.")
    speaker.close()
    told = capfd.readouterr().err
    assert (
        told.count("sudo apt install alsa-utils") == told.count("sudo apt install espeak-ng") == 1
    )


def test_programs_that_fail_are_told_once_and_do_no_harm(
    room: Room, speak: Callable[..., Speaker], capfd: pytest.CaptureFixture[str]
) -> None:
    room.player(then="echo 'no sound card' >&2; exit 1")
    room.voice("echo 'error: No such file' >&2")
    speaker = speak()
    for number in range(2):
        speaker.say("start", f"Take {number}.")
    room.until("tone start", "en: Take 0.", "tone start", "en: Take 1.")
    speaker.close()
    told = capfd.readouterr().err
    assert told.count("aplay fails, so not everything is heard: no sound card") == 1
    assert told.count("espeak-ng fails, so not everything is heard: error: No such file") == 1


def test_a_program_that_hangs_is_ended_with_its_children(
    room: Room, speak: Callable[..., Speaker], capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("robot_recorder.nodes.speaker._TONE_TIMEOUT_S", 0.5)
    room.player(then=f"sleep 600 & echo $! >> {room.record}; wait")
    room.voice()
    speaker = speak()
    speaker.say("start", "Take 1.")
    wait("the voice", lambda: len(room.heard()) == 3)
    child = int(room.heard()[1])
    wait("the end of the child", lambda: not is_running(child))
    assert room.heard()[2] == "en: Take 1."
    speaker.close()
    assert (
        "aplay fails, so not everything is heard: it did not end within 0.5 s"
        in capfd.readouterr().err
    )


def test_closing_does_not_wait_for_the_end_of_a_sentence(
    room: Room, speak: Callable[..., Speaker]
) -> None:
    room.voice("sleep 600")
    speaker = speak(tones=False)
    speaker.say("start", "Take 1.")
    wait("it", lambda: bool(room.heard()))
    began = time.monotonic()
    speaker.close()
    assert time.monotonic() - began < 5


def test_a_flood_of_events_is_bounded(room: Room, speak: Callable[..., Speaker]) -> None:
    room.voice("sleep 0.2")
    speaker = speak(tones=False)
    for number in range(10_000):
        speaker.say("lost", f"{number}")
    assert len(speaker._waiting) <= 32
    speaker.close()


@pytest.mark.skipif(ESPEAK is None, reason="espeak-ng is not installed")
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_real_voice_speaks_every_sentence(
    room: Room, speak: Callable[..., Speaker], language: str, tmp_path: Path
) -> None:
    """With its own arguments and input; only its sound goes into a file, for lack of a sound card."""
    assert ESPEAK is not None
    room.program(
        "espeak-ng", f'n=$(ls {tmp_path} | wc -l)\nexec {ESPEAK} -w {tmp_path}/$n.part "$@"'
    )
    words = load_words(language)
    speaker = speak(language, tones=False)
    hostile = "-f /etc/passwd <speak> [[h@'loU]] $(touch x) `x` \u202e"
    said = [
        ("accept", words.sentence("accept", {})),
        ("refused", words.sentence("refused", {"why": hostile})),
        ("reject", words.sentence("reject", {"why": "camera_black", "stream": "head_camera"})),
    ]
    lengths = []
    for number, (event, text) in enumerate(said, 1):
        before = set(tmp_path.glob("*.part"))
        speaker.say(event, text)
        wait(text, lambda: bool(set(tmp_path.glob("*.part")) - before))  # noqa: B023
        wait("its end", lambda: speaker._process is None)
        (path,) = set(tmp_path.glob("*.part")) - before
        with wave.open(str(path)) as file:
            sound = file.readframes(file.getnframes())
            lengths.append(len(sound) / 2 / file.getframerate())
        assert any(sound), f"{number} is silent"
    assert 0.2 < lengths[0] < lengths[2] < 12
