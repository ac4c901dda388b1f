"""Tones are sound files that do not click or clip, and can be told apart by ear."""

from __future__ import annotations

import io
import wave
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest

from robot_recorder.configuration.words import EVENTS
from robot_recorder.recorder.tones import tone, tones

SAME = [{"restore", "undone"}, {"lost", "recorder_lost"}, {"back", "recorder_back"}]
FRAME = 551  # 25 ms


def samples(event: str) -> Any:
    data = tone(event)
    assert data is not None
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 22050)
        raw = file.readframes(file.getnframes())
        assert len(raw) == 2 * file.getnframes()
    return np.frombuffer(raw, "<i2") / 32768


def contour(event: str) -> list[int]:
    """Return the pitch of each 25 ms in semitones above 110 Hz; -1: silence."""
    sound = samples(event)
    found = []
    for begin in range(0, len(sound) - FRAME, FRAME):
        part = sound[begin : begin + FRAME] * np.hanning(FRAME)
        if np.abs(part).max() < 0.02:
            found.append(-1)
            continue
        spectrum = np.abs(np.fft.rfft(part, 16384))
        hz = np.fft.rfftfreq(16384, 1 / 22050)
        found.append(round(12 * np.log2(hz[spectrum.argmax()] / 110)))
    return found


def steps(event: str) -> tuple[str, ...]:
    """Return how the pitch goes from each 25 ms to the next, without how high it is."""
    pitches = contour(event)
    ways = [
        "silence" if -1 in pair else "same" if abs(pair[1] - pair[0]) < 2
        else "up" if pair[1] > pair[0] else "down"
        for pair in pairwise(pitches)
    ]  # fmt: skip
    return tuple(ways)


def test_every_event_that_matters_has_a_tone_and_others_have_none() -> None:
    assert set(tones()) <= set(EVENTS)
    assert {
        "ready",
        "start",
        "stop",
        "accept",
        "review",
        "reject",
        "lost",
        "disk",
        "target",
    } <= set(tones())
    assert tone("begin") is None and tone("nonsense") is None


@pytest.mark.parametrize("event", tones())
def test_a_tone_is_short_and_loud_and_neither_clips_nor_clicks(event: str) -> None:
    sound = samples(event)
    assert 0.04 < len(sound) / 22050 < 0.8
    assert 0.3 < np.abs(sound).max() < 0.9
    assert abs(sound[0]) < 0.01 and abs(sound[-1]) < 0.01
    # The steepest flank of these notes; a click is a jump.
    assert np.abs(np.diff(sound)).max() < 0.25
    loudness = np.array([np.abs(sound[i : i + 44]).max() for i in range(0, len(sound) - 44, 44)])
    assert np.abs(np.diff(loudness)).max() < 0.35


def test_no_two_tones_are_the_same_contour() -> None:
    for one, other in combinations(tones(), 2):
        if {one, other} in SAME:
            assert tone(one) == tone(other)
        else:
            assert steps(one) != steps(other), f"{one} and {other} differ only in pitch"


def test_tones_mean_what_they_sound_like() -> None:
    def pitches(event: str) -> list[int]:
        return [pitch for pitch in contour(event) if pitch >= 0]

    start, stop, accept, ready, reject = map(
        pitches, ("start", "stop", "accept", "ready", "reject")
    )
    assert start == sorted(start) and start[-1] - start[0] > 7
    assert stop == sorted(stop, reverse=True) and stop[0] - stop[-1] > 7
    assert accept == sorted(accept) and len(set(accept)) >= 3
    assert max(ready) - min(ready) <= 1 and -1 in contour("ready")
    assert max(reject) < min(accept) and -1 in contour("reject")
