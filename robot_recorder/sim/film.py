"""Draws a film strip of every task: `make demo TASKS=all`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from robot_recorder.cli.terminal import say
from robot_recorder.sim.cameras import CameraRenderer
from robot_recorder.sim.model import PLACES, build_model
from robot_recorder.sim.robot import AttemptResult, Robot
from robot_recorder.sim.tasks import TASKS, draw, tasks_of

_EVERY = 50  # steps between two states that are kept
_SETTLE_STEPS = 100
_LOOK_AT_M, _DISTANCE_M, _AZIMUTH_DEG, _ELEVATION_DEG = (0.22, 0.0, 0.86), 1.15, 205.0, -28.0
_FROM_DEG = {"put_away_cup": 300.0}  # where something stands in the way of the others' view


def strip(
    robot: Robot, renderer: CameraRenderer, task: str, seed: int, pictures: int = 6
) -> tuple[np.ndarray, AttemptResult]:
    """Perform an attempt and draw it.

    Args:
        robot: in the place of the task.
        renderer: of the same model.
        task: its name.
        seed: of the attempt.
        pictures: how many.

    Returns:
        picture: uint8[480, 320 x pictures, 3], BGR; the robot's own view below a bystander's.
        result: of the attempt.
    """
    robot.reset(draw(task, seed))
    robot.begin()
    states: list[tuple[float, str, np.ndarray]] = []
    while not robot.done:
        robot.step()
        if round(robot.time_s * 500) % _EVERY == 0:
            states.append((robot.time_s, robot.phase, robot.snapshot()))
    for _ in range(_SETTLE_STEPS):
        robot.step()
    chosen = np.linspace(0, len(states) - 1, pictures + 1).round().astype(int)[1:]
    azimuth_deg = _FROM_DEG.get(task, _AZIMUTH_DEG)
    frames = [_frame(renderer, azimuth_deg, *states[index]) for index in chosen]
    return np.hstack(frames), robot.outcome()


def _frame(
    renderer: CameraRenderer, azimuth_deg: float, time_s: float, phase: str, poses: np.ndarray
) -> np.ndarray:
    beside = renderer.render_free(poses, _LOOK_AT_M, _DISTANCE_M, azimuth_deg, _ELEVATION_DEG)
    both = np.vstack([beside, renderer.render("head_camera", poses)])[:, :, ::-1].copy()
    cv2.putText(both, f"{time_s:.1f} s {phase}", (8, 22), 0, 0.55, (40, 40, 40), 1, cv2.LINE_AA)
    return both


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw a strip of the first attempt of each task that succeeds."""
    parser = argparse.ArgumentParser(description="draw a film strip of every task")
    parser.add_argument("--out", type=Path, default=Path("films"), help="where pictures go")
    parser.add_argument("--cache", type=Path, default=Path(".cache/sim"), help="prepared models")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=5, help="how many attempts at most")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for place in PLACES:
        wanted = [task for task in tasks_of(place) if task in options.tasks]
        if not wanted:
            continue
        model = build_model(options.cache, place)
        robot, renderer = Robot(model), CameraRenderer(model)
        for task in wanted:
            for seed in range(options.seeds):
                picture, result = strip(robot, renderer, task, seed)
                if result.success:
                    break
            path = options.out / f"{task}.png"
            cv2.imwrite(str(path), picture)
            say(f"{path}: seed {seed}, {result.detail}")
        renderer.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
