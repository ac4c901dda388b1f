"""Camera defects."""

from __future__ import annotations

import cv2
import numpy as np

from robot_recorder.model.check_result import Level
from robot_recorder.sim.defects import BEGIN_S, HEAD, WRIST, Defect, Tape, during, recode, repicture

WARN, FAIL = Level.WARN, Level.FAIL


def cameras() -> list[Defect]:
    """Return black, white, frozen, blurred, truncated and random pictures, and wrong sizes."""
    found = []
    black = repicture(lambda picture: picture // 64)
    white = repicture(lambda picture: _brighter(picture, 170))
    for length_s, level in ((0.4, WARN), (1.0, FAIL), (3.0, FAIL), (99.0, FAIL)):
        for camera in (HEAD, WRIST) if length_s == 1.0 else (HEAD,):
            found.append(
                Defect("black camera", f"{length_s:g} s", "camera_black", camera, level,
                       lambda t, c=camera, n=length_s: t.repaint(c, BEGIN_S - 0.3, BEGIN_S + n - 0.3, black))
            )  # fmt: skip
    for length_s, level in ((1.0, WARN), (3.0, FAIL)):
        found.append(
            Defect("overexposed camera", f"{length_s:g} s", "camera_overexposed", HEAD, level,
                   lambda t, n=length_s: t.repaint(HEAD, 1.0, 1.0 + n, white))
        )  # fmt: skip
    for length_s, level in ((0.8, WARN), (1.5, FAIL), (3.0, FAIL)):
        for camera in (HEAD, WRIST):
            found.append(
                Defect("frozen camera", f"{length_s:g} s", "camera_frozen", camera, level,
                       lambda t, c=camera, n=length_s: _freeze(t, c, BEGIN_S, n))
            )  # fmt: skip
    for sigma in (2.0, 3.0, 5.0):
        found.append(
            Defect("blurred camera", f"sigma {sigma:g} px", "camera_blurred", HEAD, FAIL if sigma > 2 else WARN,
                   lambda t, s=sigma: t.repaint(HEAD, -9, 99, repicture(lambda p: _blur(p, s))))
        )  # fmt: skip
    cut = recode(lambda encoded: encoded[: len(encoded) // 3])
    rubbish = recode(lambda encoded: np.random.default_rng(1).bytes(len(encoded)))
    found += [
        Defect("cut-off pictures", "1 s", "camera_undecodable", HEAD, FAIL, lambda t: t.repaint(HEAD, 2, 3, cut)),
        Defect("cut-off pictures", "0.3 s", "camera_undecodable", HEAD, WARN, lambda t: t.repaint(HEAD, 2, 2.3, cut)),
        Defect("rubbish pictures", "2 s", "camera_undecodable", WRIST, FAIL, lambda t: t.repaint(WRIST, 2, 4, rubbish)),
        Defect("wrong size", "half way on", "camera_size", HEAD, FAIL,
               lambda t: t.repaint(HEAD, 3, 99, repicture(lambda p: p[::2, ::2]))),
        Defect("wrong size", "throughout", "camera_size", WRIST, FAIL,
               lambda t: t.repaint(WRIST, -9, 99, repicture(lambda p: p[:, :200]))),
    ]  # fmt: skip
    return found


def _brighter(picture: np.ndarray, by: int) -> np.ndarray:
    """Make a picture brighter, clipped at the sensor's maximum."""
    return np.minimum(picture.astype(np.int16) + by, 255).astype(np.uint8)


def _blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Blur a picture, as if out of focus."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma))


def _freeze(tape: Tape, camera: str, begin_s: float, length_s: float) -> None:
    """Repeat one picture with advancing stamps."""
    messages, seconds = tape.of(camera), tape.seconds(camera)
    inside = np.flatnonzero(during(seconds, begin_s, length_s))
    first = messages[inside[0]][1]
    for number in inside.tolist():
        at, data = messages[number]
        messages[number] = at, first[:4] + data[4:12] + first[12:]
