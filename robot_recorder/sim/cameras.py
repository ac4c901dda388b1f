"""The cameras of the simulated humanoid, and a renderer that needs no display."""

from __future__ import annotations

import atexit
import importlib
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import mujoco
import numpy as np


@dataclass(frozen=True)
class CameraSpec:
    """A pinhole camera fixed to a body of the robot.

    `position_m` and the unit-free directions `forward` and `up` are in the frame of `body`;
    `fovy_deg` is the vertical field of view.
    """

    body: str
    position_m: tuple[float, float, float]
    forward: tuple[float, float, float]
    up: tuple[float, float, float]
    fovy_deg: float
    width: int = 320
    height: int = 240

    def axes(self) -> np.ndarray:
        """Return MuJoCo's x (right) and y (up) image axes in the body's frame, float64[6]."""
        forward = np.array(self.forward) / np.linalg.norm(self.forward)
        right = np.cross(forward, self.up)
        right /= np.linalg.norm(right)
        return np.concatenate([right, np.cross(right, forward)])


CAMERAS: dict[str, CameraSpec] = {
    # In front of the face, so that the head's own mesh never covers the lens.
    "head_camera": CameraSpec(
        "torso_link", (0.085, 0.0, 0.43), (0.62, 0.0, -0.78), (0, 0, 1), 66.0
    ),
    # On the back of each hand, looking along the palm towards the fingertips.
    "left_wrist_camera": CameraSpec(
        "left_wrist_yaw_link", (0.015, -0.035, 0.080), (0.80, -0.28, -0.53), (0, 0, 1), 72.0
    ),
    "right_wrist_camera": CameraSpec(
        "right_wrist_yaw_link", (0.015, 0.035, 0.080), (0.80, 0.28, -0.53), (0, 0, 1), 72.0
    ),
}


_HIDDEN = 5  # a group of geoms that is not drawn

# What a picture shows: the pose of everything, also of what is not moved by physics.
_STATE = mujoco.mjtState
_POSES = _STATE.mjSTATE_QPOS | _STATE.mjSTATE_MOCAP_POS | _STATE.mjSTATE_MOCAP_QUAT


def poses_of(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    """Return the pose of everything, float64[n], as `show_poses` takes it."""
    found = np.empty(mujoco.mj_stateSize(model, int(_POSES)))
    mujoco.mj_getState(model, data, found, int(_POSES))
    return found


def show_poses(model: mujoco.MjModel, data: mujoco.MjData, poses: np.ndarray) -> None:
    """Put everything where it was, for a picture."""
    mujoco.mj_setState(model, data, poses, int(_POSES))
    mujoco.mj_kinematics(model, data)


def unseen(model: mujoco.MjModel, data: mujoco.MjData, name: str) -> np.ndarray:
    """Return which geoms are surely out of a camera's sight, bool[ngeom].

    OpenGL would find that out corner by corner. A geom is unseen if the sphere around it lies beyond one
    of the four planes through the lens and the picture's edges, behind the lens, or under the floor.
    """
    spec, camera = CAMERAS[name], model.camera(name).id
    axes = data.cam_xmat[camera].reshape(3, 3)
    right, up, back = ((data.geom_xpos - data.cam_xpos[camera]) @ axes).T
    radius, tangent = model.geom_rbound, math.tan(math.radians(spec.fovy_deg) / 2)
    beyond = (back > radius) | (data.geom_xpos[:, 2] < -radius)
    for across, slope in ((right, tangent * spec.width / spec.height), (up, tangent)):
        beyond |= np.abs(across) + slope * back > radius * math.hypot(1, slope)
    return np.asarray(beyond & (radius > 0))  # a plane has none


class CameraRenderer:
    """A renderer of `CAMERAS` on the CPU or GPU that needs no display.

    Keeps its own `MjData`, so it may run beside the physics. Use and close it in the thread that
    made it: an OpenGL context belongs to one thread.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        width = max(spec.width for spec in CAMERAS.values())
        height = max(spec.height for spec in CAMERAS.values())
        # Choose the backend here: with MUJOCO_GL at import time, importing mujoco in the wrong
        # order would fail on a machine without a display.
        backend = "osmesa" if os.environ.get("MUJOCO_GL") == "osmesa" else "egl"
        self._gl = importlib.import_module(f"mujoco.{backend}").GLContext(width, height)
        self._gl.make_current()
        atexit.register(self.close)  # must run before the interpreter unloads the GL library
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=400)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._perturb = mujoco.MjvPerturb()

    def render(self, name: str, poses: np.ndarray) -> np.ndarray:
        """Render camera `name` to uint8[height, width, 3] RGB; `poses` are from `Robot.snapshot`."""
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = self._model.camera(name).id
        spec = CAMERAS[name]
        show_poses(self._model, self._data, poses)
        mujoco.mj_camlight(self._model, self._data)
        with self._hidden(unseen(self._model, self._data, name)):
            return self._draw(spec.width, spec.height)

    def render_free(
        self,
        poses: np.ndarray,
        lookat_m: tuple[float, float, float],
        distance_m: float,
        azimuth_deg: float,
        elevation_deg: float,
    ) -> np.ndarray:
        """Render a bystander's view of `lookat_m` (world frame) to uint8[240, 320, 3] RGB."""
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FREE
        self._camera.lookat[:] = lookat_m
        self._camera.distance = distance_m
        self._camera.azimuth, self._camera.elevation = azimuth_deg, elevation_deg
        show_poses(self._model, self._data, poses)
        mujoco.mj_camlight(self._model, self._data)
        return self._draw(320, 240)

    @contextmanager
    def _hidden(self, geoms: np.ndarray) -> Iterator[None]:
        """Leave out geoms, bool[ngeom]."""
        groups = self._model.geom_group
        before = groups[geoms]
        groups[geoms] = _HIDDEN
        try:
            yield
        finally:
            groups[geoms] = before

    def _draw(self, width: int, height: int) -> np.ndarray:
        mujoco.mjv_updateScene(
            self._model,
            self._data,
            self._option,
            self._perturb,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        viewport = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(viewport, self._scene, self._context)
        image = np.empty((height, width, 3), np.uint8)
        mujoco.mjr_readPixels(image, None, viewport, self._context)
        return image[::-1].copy()  # OpenGL's first row is the bottom one

    def intrinsics(self, name: str) -> tuple[float, float, float, float]:
        """Return the pinhole intrinsics (fx, fy, cx, cy) of camera `name`, in pixels."""
        spec = CAMERAS[name]
        focal = spec.height / 2 / math.tan(math.radians(spec.fovy_deg) / 2)
        return focal, focal, (spec.width - 1) / 2, (spec.height - 1) / 2

    def close(self) -> None:
        """Free the OpenGL resources; the renderer cannot be used afterwards."""
        atexit.unregister(self.close)
        self._context.free()
        self._gl.free()
