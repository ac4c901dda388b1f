"""The robot's surroundings: light, floor, an L-shaped desk, the objects and the marked spot."""

from __future__ import annotations

import math

import mujoco

# Objects touch everything; hands touch furniture and objects but not each other.
FURNITURE_BITS = {"contype": 1, "conaffinity": 0}
OBJECT_BITS = {"contype": 2, "conaffinity": 3}
HAND_BITS = {"contype": 2, "conaffinity": 1}
NO_CONTACT = {"contype": 0, "conaffinity": 0}

DESK_TOP_M = 0.76
BOX_HALF_M = (0.05, 0.11, 0.08)
TRAY_HALF_WIDTH_M = 0.152  # to the outer face of a handle
TRAY_GRIP_M = (0.0, 0.0, 0.06)  # midpoint of the two handles in the tray's frame
CUP_HALF_HEIGHT_M = 0.045
CUP_ON_TRAY_M = 0.012  # height of the tray's floor above its underside
SPOT_RADIUS_M = 0.37  # from the waist's axis
SPOT_ANGLE_RAD = math.radians(52.0)  # turned left from straight ahead
SPOT_M = (SPOT_RADIUS_M * math.cos(SPOT_ANGLE_RAD), SPOT_RADIUS_M * math.sin(SPOT_ANGLE_RAD))
OBJECTS = ("box", "tray", "cup")

_BOX, _CYLINDER = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER


def add_scene(spec: mujoco.MjSpec) -> None:
    """Add everything but the robot to `spec`. World frame: x ahead, y left, z up, floor at 0."""
    _add_looks(spec)
    world = spec.worldbody
    world.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[6, 6, 0.1],
        material="floor",
        **NO_CONTACT,
    )
    # A slab instead of the plane stops falling objects, because unused objects are below the floor.
    world.add_geom(
        type=_BOX,
        size=[4, 4, 0.05],
        pos=[0, 0, -0.05],
        group=3,
        rgba=[0, 0, 0, 0],
        **FURNITURE_BITS,
    )
    for name, x0, x1, y0, y1 in (("front", 0.2, 0.62, -0.5, 0.2), ("side", -0.3, 0.62, 0.2, 0.62)):
        size = [(x1 - x0) / 2, (y1 - y0) / 2, 0.02]
        centre = [(x0 + x1) / 2, (y0 + y1) / 2, DESK_TOP_M - 0.02]
        world.add_geom(
            name=f"desk_{name}", type=_BOX, size=size, pos=centre, material="wood", **FURNITURE_BITS
        )
    for x, y in ((0.58, -0.46), (0.58, 0.58), (-0.26, 0.58)):
        half = (DESK_TOP_M - 0.04) / 2
        world.add_geom(
            type=_BOX, size=[0.025, 0.025, half], pos=[x, y, half], material="steel", **NO_CONTACT
        )
    spot = world.add_body(
        name="spot",
        pos=[*SPOT_M, DESK_TOP_M],
        quat=[math.cos(SPOT_ANGLE_RAD / 2), 0, 0, math.sin(SPOT_ANGLE_RAD / 2)],
    )
    for half_x, half_y, height, colour in (
        (0.135, 0.175, 0.0006, [1, 1, 1, 1]),
        (0.12, 0.16, 0.0012, [0.10, 0.72, 0.30, 1]),
    ):
        spot.add_geom(
            type=_BOX,
            size=[half_x, half_y, height / 2],
            pos=[0, 0, height / 2],
            rgba=colour,
            **NO_CONTACT,
        )
    _add_box(world)
    _add_tray(world)
    _add_cup(world)


def _add_looks(spec: mujoco.MjSpec) -> None:
    builtin, texture = mujoco.mjtBuiltin, mujoco.mjtTexture
    spec.add_texture(
        name="sky",
        type=texture.mjTEXTURE_SKYBOX,
        builtin=builtin.mjBUILTIN_GRADIENT,
        width=128,
        height=768,
        rgb1=[0.82, 0.88, 0.94],
        rgb2=[0.45, 0.58, 0.72],
    )
    spec.add_texture(
        name="tiles",
        type=texture.mjTEXTURE_2D,
        builtin=builtin.mjBUILTIN_CHECKER,
        width=128,
        height=128,
        rgb1=[0.56, 0.60, 0.64],
        rgb2=[0.50, 0.54, 0.58],
    )
    floor = spec.add_material(name="floor", texrepeat=[2, 2], texuniform=True, specular=0.1)
    floor.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "tiles"
    spec.add_material(name="wood", rgba=[0.72, 0.58, 0.41, 1], specular=0.15, shininess=0.2)
    spec.add_material(name="steel", rgba=[0.30, 0.32, 0.35, 1], specular=0.3)
    spec.material("metal").rgba = [0.80, 0.81, 0.83, 1]
    spec.material("black").rgba = [0.17, 0.18, 0.20, 1]
    for light in list(spec.lights):
        spec.delete(light)
    for direction, diffuse in (((-0.3, 0.4, -0.9), 0.55), ((0.8, -0.3, -0.6), 0.30)):
        spec.worldbody.add_light(
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            pos=[0, 0, 3],
            dir=direction,
            castshadow=False,
            diffuse=[diffuse] * 3,
            specular=[0.15] * 3,
        )
    spec.visual.headlight.ambient = [0.34] * 3
    spec.visual.headlight.diffuse = [0.22] * 3
    spec.visual.headlight.specular = [0, 0, 0]
    spec.visual.quality.shadowsize = 0
    spec.visual.quality.offsamples = 0
    spec.visual.map.znear = (
        0.004  # share of the model's extent: wrist cameras see objects 2 cm away
    )
    spec.visual.map.zfar = 20
    spec.stat.extent = 2.0


def _free_body(world: mujoco.MjsBody, name: str) -> mujoco.MjsBody:
    body = world.add_body(name=name, pos=[0, 0, -3])
    body.add_freejoint(name=name)
    return body


def _add_box(world: mujoco.MjsBody) -> None:
    body = _free_body(world, "box")
    body.add_geom(
        name="box",
        type=_BOX,
        size=BOX_HALF_M,
        mass=0.8,
        rgba=[0.93, 0.42, 0.12, 1],
        **OBJECT_BITS,
    )
    x, y, z = BOX_HALF_M
    body.add_geom(
        type=_BOX,
        size=[0.014, y + 0.0006, z + 0.0006],
        rgba=[0.97, 0.90, 0.72, 1],
        mass=0,
        **NO_CONTACT,
    )


def _add_tray(world: mujoco.MjsBody) -> None:
    body = _free_body(world, "tray")
    blue, dark = [0.12, 0.42, 0.78, 1], [0.08, 0.28, 0.55, 1]
    floor = CUP_ON_TRAY_M / 2
    parts = [("tray_floor", [0.11, 0.14, floor], [0, 0, floor], 0.3, blue)]
    for side, sign in (("left", 1), ("right", -1)):
        parts.append((f"tray_{side}", [0.045, 0.006, 0.05], [0.018, sign * 0.146, 0.05], 0.1, dark))
    for side, sign in (("front", 1), ("rear", -1)):
        parts.append((f"tray_{side}", [0.004, 0.14, 0.012], [sign * 0.106, 0, 0.012], 0.05, dark))
    for name, size, pos, mass, colour in parts:
        body.add_geom(
            name=name, type=_BOX, size=size, pos=pos, mass=mass, rgba=colour, **OBJECT_BITS
        )


def _add_cup(world: mujoco.MjsBody) -> None:
    body = _free_body(world, "cup")
    body.add_geom(
        name="cup",
        type=_CYLINDER,
        size=[0.032, CUP_HALF_HEIGHT_M, 0],
        mass=0.2,
        rgba=[0.97, 0.97, 0.95, 1],
        priority=1,
        **OBJECT_BITS,
    )
    for z, colour in (
        (0.0, [0.85, 0.12, 0.18, 1]),
        (CUP_HALF_HEIGHT_M - 0.004, [0.25, 0.14, 0.08, 1]),
    ):
        radius, half = (0.0325, 0.012) if z == 0 else (0.028, 0.005)  # a red band, and the coffee
        body.add_geom(
            type=_CYLINDER, size=[radius, half, 0], pos=[0, 0, z], rgba=colour, mass=0, **NO_CONTACT
        )
