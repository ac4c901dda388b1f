"""Plays tones and speaks on the machine's loudspeaker, with the programs that are installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from robot_recorder.nodes.log import NodeLog
from robot_recorder.recorder.tones import tone

IMPORTANT = frozenset({"reject", "lost", "disk", "recorder_lost", "aborted", "refused"})
"""Events that interrupt others and are never dropped because they are late."""
VOICES = {"en": "en", "de": "de", "zh": "cmn"}
_PLAYERS: Mapping[str, list[str]] = {"pw-play": [], "paplay": [], "aplay": ["-q"]}
_VOICE = "espeak-ng"
_LATE_S = 2.0
_TONE_TIMEOUT_S, _SPEECH_TIMEOUT_S = 5.0, 20.0
_MOST_WAITING = 32
_MOST_CHARS = 400


@dataclass
class _Utterance:
    """An event, its sentence, when it came, and whether it was interrupted."""

    event: str
    text: str
    at_s: float = field(default_factory=time.monotonic)
    interrupted: bool = False

    @property
    def important(self) -> bool:
        return self.event in IMPORTANT


class Speaker:
    """Lets things be heard, one after the other, in a thread of its own; nothing it does can fail a take."""

    def __init__(
        self, language: str, tones: bool, speech: bool, quiet: frozenset[str], log: NodeLog
    ) -> None:
        """Find the programs and start the thread.

        Args:
            language: of the sentences, one of ``LANGUAGES``.
            tones: whether tones are played.
            speech: whether sentences are spoken.
            quiet: events that are not heard.
            log: is told once of each program that is missing or fails.
        """
        self._quiet, self._log = quiet, log
        self._told: set[str] = set()
        self._player = self._find_player() if tones else []
        self._voice = self._find_voice(VOICES.get(language, language)) if speech else []
        self._folder = tempfile.TemporaryDirectory(prefix="robot_recorder_tones_")
        self._waiting: deque[_Utterance] = deque(maxlen=_MOST_WAITING)
        self._changed = threading.Condition()
        self._current: _Utterance | None = None
        self._process: subprocess.Popen[str] | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="speaker", daemon=True)
        self._thread.start()

    def say(self, event: str, text: str) -> None:
        """Let an event be heard; returns at once.

        Args:
            event: decides the tone and how important it is.
            text: the sentence.
        """
        if event in self._quiet or not (self._player or self._voice):
            return
        with self._changed:
            self._waiting.append(_Utterance(event, text))
            if event in IMPORTANT and self._current is not None and not self._current.important:
                self._interrupt()
            self._changed.notify()

    def close(self) -> None:
        """End what is being heard, and the thread."""
        with self._changed:
            self._closing = True
            self._interrupt()
            self._changed.notify()
        self._thread.join()
        self._folder.cleanup()

    def _find_player(self) -> list[str]:
        for name, options in _PLAYERS.items():
            if path := shutil.which(name):
                return [path, *options]
        self._tell(
            "player",
            f"no tones: none of {', '.join(_PLAYERS)} is installed: sudo apt install alsa-utils",
        )
        return []

    def _find_voice(self, voice: str) -> list[str]:
        if path := shutil.which(_VOICE):
            return [path, "-v", voice, "--stdin"]
        self._tell(_VOICE, f"no speech: {_VOICE} is not installed: sudo apt install {_VOICE}")
        return []

    def _interrupt(self) -> None:
        """End what is being heard; call it with the lock held."""
        if self._current is not None:
            self._current.interrupted = True
        if self._process is not None:
            _kill(self._process)

    def _run(self) -> None:
        while (utterance := self._next()) is not None:
            if self._player and (path := self._tone_file(utterance.event)):
                self._hear(utterance, [*self._player, path], "", _TONE_TIMEOUT_S)
            if self._voice and utterance.text:
                # Doubled brackets would be read as phonemes.
                text = utterance.text[:_MOST_CHARS].replace("[[", "[ [")
                self._hear(utterance, self._voice, text, _SPEECH_TIMEOUT_S)

    def _next(self) -> _Utterance | None:
        """Wait for the next one: important ones first, then in order, without those that are late.

        The newest of the others is never late: it tells the present state.
        """
        with self._changed:
            self._current = None
            self._changed.wait_for(lambda: self._closing or self._waiting)
            if self._closing:
                return None
            too_old_s = time.monotonic() - _LATE_S
            newest = next((u for u in reversed(self._waiting) if not u.important), None)
            kept = [u for u in self._waiting if u is newest or u.important or u.at_s > too_old_s]
            chosen = next((u for u in kept if u.important), kept[0])
            self._waiting = deque((u for u in kept if u is not chosen), maxlen=_MOST_WAITING)
            self._current = chosen
            return chosen

    def _tone_file(self, event: str) -> str:
        """Return the path of an event's tone; empty: it has none."""
        path = Path(self._folder.name, f"{event}.wav")
        if not path.exists():
            sound = tone(event)
            if sound is None:
                return ""
            path.write_bytes(sound)
        return str(path)

    def _hear(self, utterance: _Utterance, command: list[str], text: str, most_s: float) -> None:
        """Run a program to its end, unless it is interrupted or hangs."""
        name = Path(command[0]).name
        with self._changed:
            if utterance.interrupted or self._closing:
                return
            try:
                # A group of its own, so that its children end with it.
                self._process = process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace",
                    start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                self._tell(name, f"{name} cannot be started: {error.strerror}")
                return
        problem = ""
        try:
            _, errors = process.communicate(text, timeout=most_s)
            lines = errors.strip().splitlines()
            # espeak-ng ends with 0 when there is no sound card.
            if process.returncode or (lines and lines[-1].startswith("error:")):
                problem = lines[-1] if lines else f"exit code {process.returncode}"
        except subprocess.TimeoutExpired:
            problem = f"it did not end within {most_s:g} s"
            _kill(process)
            process.communicate()
        with self._changed:
            self._process = None
        if problem and not utterance.interrupted:
            self._tell(name, f"{name} fails, so not everything is heard: {problem}")

    def _tell(self, name: str, problem: str) -> None:
        """Report a program's problem, once."""
        if name not in self._told:
            self._told.add(name)
            self._log.warning(problem)


def _kill(process: subprocess.Popen[str]) -> None:
    """End a program and its children."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
