"""Short tones for what happens in a shift, told apart by their contour. Pure: events in, WAV bytes out."""

from __future__ import annotations

import io
import wave
from functools import cache

import numpy as np

from robot_recorder.model.arrays import Floats

RATE_HZ = 22050
_FADE_S = 0.008
_LOUDNESS = 0.5  # of full scale, at the most
_OVERTONES = (1.0, 0.35, 0.12)  # small loudspeakers do not sound the fundamental of low notes
_FULL_SCALE = 32767

# A tone is notes: (from Hz, to Hz, s); 0 Hz is silence.
_Notes = tuple[tuple[float, float, float], ...]
_C4, _A4, _C5, _E5, _G5, _A5, _C6 = 261.6, 440.0, 523.3, 659.3, 784.0, 880.0, 1046.5
_GAP = (0.0, 0.0, 0.05)

_SHAPES: dict[str, _Notes] = {
    "ready": ((_A5, _A5, 0.08), _GAP, (_A5, _A5, 0.08)),  # two equal ones
    "countdown": ((_A5, _A5, 0.05),),  # a tick
    "start": ((_C5, _C6, 0.22),),  # one that rises
    "stop": ((_C6, _C5, 0.22),),  # one that falls
    "good": ((_C5, _C5, 0.09), (_E5, _E5, 0.09), (_G5, _G5, 0.2)),  # three steps up
    "look": ((_E5, _G5, 0.12), (_G5, _E5, 0.12), (_E5, _G5, 0.12)),  # a wave, as a question
    "bad": ((_C4, _C4, 0.18), _GAP, (_C4, _C4, 0.28)),  # two low ones, the second longer
    "success": ((_E5, _E5, 0.07), (_C6, _C6, 0.16)),  # a leap up
    "failure": ((_G5, _G5, 0.09), (_C5, _C5, 0.2)),  # a leap down
    "away": ((_A5, _C4, 0.3),),  # a long fall
    "undo": ((_C5, _A5, 0.1), (_A5, _C5, 0.1)),  # up and back
    "lost": ((_A5, _A5, 0.07), (_E5, _E5, 0.07)) * 4,  # an alarm of two notes
    "back": (
        (_E5, _E5, 0.07),
        _GAP,
        (_A5, _A5, 0.07),
        _GAP,
        (_A5, _A5, 0.07),
    ),  # short, short short
    "warning": ((_A4, _A4, 0.1), _GAP) * 3,  # three equal low ones
    "target": ((_C5, _C5, 0.1), (_E5, _E5, 0.1), (_G5, _G5, 0.1), (_C6, _C6, 0.4)),  # a fanfare
    "pause": ((_G5, _G5, 0.1), (_E5, _E5, 0.1), (_C5, _C5, 0.2)),  # three steps down
    "resume": ((_C5, _C5, 0.1), _GAP, (_C5, _G5, 0.18)),  # one, and one that rises
    "no": ((_C4, _C4, 0.12),),  # one low knock
    "aborted": ((_C5, _C4, 0.14), _GAP) * 3,  # three falls
}
_TONES = {
    "ready": "ready", "countdown": "countdown", "start": "start", "stop": "stop", "accept": "good",
    "review": "look", "reject": "bad", "success": "success", "failure": "failure",
    "discard": "away", "restore": "undo", "undone": "undo", "lost": "lost", "recorder_lost": "lost",
    "back": "back", "recorder_back": "back", "disk": "warning", "target": "target",
    "pause": "pause", "resume": "resume", "refused": "no", "aborted": "aborted",
}  # fmt: skip


@cache
def tone(event: str) -> bytes | None:
    """Return the tone of an event as a WAV file (22,050 Hz, mono, 16 bit); None: it has none."""
    name = _TONES.get(event)
    if name is None:
        return None
    sound = np.concatenate([_note(*note) for note in _SHAPES[name]])
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(np.round(sound * _FULL_SCALE).astype("<i2").tobytes())
    return file.getvalue()


def tones() -> list[str]:
    """Return the events that have a tone."""
    return list(_TONES)


def _note(from_hz: float, to_hz: float, seconds: float) -> Floats:
    """Return one note that glides, faded in and out so that it does not click."""
    count = round(seconds * RATE_HZ)
    if not from_hz:
        return np.zeros(count)
    pitch_hz = np.geomspace(from_hz, to_hz, count)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    sound = sum(part * np.sin((number + 1) * phase) for number, part in enumerate(_OVERTONES))
    edge = np.minimum(
        1.0, np.minimum(np.arange(count), np.arange(count)[::-1]) / (_FADE_S * RATE_HZ)
    )
    faded: Floats = sound * np.sin(edge * np.pi / 2) ** 2 * _LOUDNESS / sum(_OVERTONES)
    return faded
