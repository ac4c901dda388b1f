"""How a place looks in an attempt: its light, the surfaces of tables and floor, and what stands around.

All of it follows from the attempt's seed, so that the process that renders needs nothing else.
"""

from __future__ import annotations

import math

import mujoco
import numpy as np

CLUTTER = "clutter/"  # how the names of bodies that only stand around begin
SPOT = "clutter_spot_"  # and those of the sites where they may stand
SURFACES = {
    "wood": ("plain", "grain", "speckled"),
    "floor": ("tiles", "grain", "speckled", "plain"),
}

_PIXELS = 256
_REPEAT_PER_M = {
    "grain": (1.5, 1.5),
    "speckled": (3.0, 3.0),
    "tiles": (2.0, 2.0),
    "plain": (1.0, 1.0),
}
_COLOURS = {
    "wood": ((0.78, 0.62, 0.44), (0.86, 0.78, 0.66), (0.62, 0.46, 0.33), (0.84, 0.84, 0.82), (0.55, 0.60, 0.64)),
    "floor": ((0.68, 0.69, 0.70), (0.70, 0.62, 0.53), (0.52, 0.58, 0.60), (0.45, 0.41, 0.37)),
}  # fmt: skip
_WARM, _COLD = (
    np.array([1.0, 0.87, 0.70]),
    np.array([0.90, 0.96, 1.0]),
)  # lamps of 2,900 and 7,000 K
_AWAY_M = -4.0  # height of what is not there
_JITTER_M = 0.012


def textures() -> dict[str, np.ndarray]:
    """Return the textures of surfaces by name, uint8[256, 256, 3], nearly white: a colour tints them."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0 : 1 : _PIXELS * 1j, 0 : 1 : _PIXELS * 1j]
    turn = 2 * math.pi
    rings = 9 * y + 0.5 * np.sin(turn * x) + 0.25 * np.sin(turn * (2 * x + y) + 1.0)
    grain = 0.90 + 0.07 * np.sin(turn * rings) + 0.02 * np.sin(turn * 5 * rings)
    grain[np.mod(np.arange(_PIXELS), 64) < 2] -= 0.22  # between boards
    speckled = 0.93 - 0.35 * (rng.random((_PIXELS, _PIXELS)) < 0.04)
    chequered = 0.92 - 0.09 * ((np.floor(2 * x) + np.floor(2 * y)) % 2)
    shades = {
        "plain": np.full_like(x, 0.95),
        "grain": grain,
        "speckled": speckled,
        "tiles": chequered,
    }
    return {
        name: np.repeat((np.clip(shade, 0, 1) * 255).astype(np.uint8)[:, :, None], 3, axis=2)
        for name, shade in shades.items()
    }


def dress(model: mujoco.MjModel, seed: int) -> None:
    """Light a model, and choose its surfaces; the same seed gives the same look."""
    rng = np.random.default_rng([70, seed])
    for light in range(model.nlight):
        lamp = _WARM + rng.random() * (_COLD - _WARM)
        azimuth, elevation = rng.uniform(-math.pi, math.pi), math.radians(rng.uniform(40, 80))
        flat = math.cos(elevation)
        direction = flat * math.cos(azimuth), flat * math.sin(azimuth), -math.sin(elevation)
        model.light_dir[light] = direction
        strength = rng.uniform(0.36, 0.54) if light == 0 else rng.uniform(0.16, 0.30)
        model.light_diffuse[light] = strength * lamp
    model.vis.headlight.ambient[:] = rng.uniform(0.28, 0.38)
    for name, choice in SURFACES.items():
        material, surface = model.material(name), str(rng.choice(choice))
        colour = np.array(_COLOURS[name])[rng.integers(len(_COLOURS[name]))]
        material.rgba[:3] = np.clip(colour * rng.uniform(0.92, 1.04, 3), 0, 1)
        material.texrepeat[:] = _REPEAT_PER_M[surface]
        role = mujoco.mjtTextureRole.mjTEXROLE_RGB
        model.mat_texid[material.id, role] = model.texture(surface).id


def scatter(model: mujoco.MjModel, data: mujoco.MjData, seed: int) -> None:
    """Put what only stands around on some of its spots, and the rest out of sight."""
    rng = np.random.default_rng([71, seed])
    spots = [model.site_pos[n] for n in range(model.nsite) if model.site(n).name.startswith(SPOT)]
    bodies = [n for n in range(model.nbody) if model.body(n).name.startswith(CLUTTER)]
    bodies = [int(body) for body in rng.permutation(bodies)]
    there = int(rng.integers(0, len(bodies) + 1))
    spots = [spots[n] for n in rng.permutation(len(spots))]
    for place, body in enumerate(bodies):
        mocap, yaw = model.body_mocapid[body], rng.uniform(-math.pi, math.pi)
        at = spots[place] + [*rng.uniform(-_JITTER_M, _JITTER_M, 2), 0.0]
        data.mocap_pos[mocap] = at if place < there else (*at[:2], _AWAY_M)
        data.mocap_quat[mocap] = math.cos(yaw / 2), 0, 0, math.sin(yaw / 2)
