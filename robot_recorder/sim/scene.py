"""The robot's surroundings: light, floor, and the bodies of a place."""

from __future__ import annotations

import math

import mujoco

from robot_recorder.sim.cloth import add_cloth
from robot_recorder.sim.looks import SPOT, SURFACES, textures
from robot_recorder.sim.places import PlaceBody, PlaceShape, Workplace

# Objects touch everything; hands touch furniture and objects but not each other.
FURNITURE_BITS = {"contype": 1, "conaffinity": 0}
OBJECT_BITS = {"contype": 2, "conaffinity": 3}
HAND_BITS = {"contype": 2, "conaffinity": 1}
NO_CONTACT = {"contype": 0, "conaffinity": 0}

_BELT_KG = 20.0  # so that nothing slows it within a step

_BOX = mujoco.mjtGeom.mjGEOM_BOX
_GEOMETRIES = {"cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER, "ball": mujoco.mjtGeom.mjGEOM_SPHERE}


def add_scene(spec: mujoco.MjSpec, place: Workplace) -> None:
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
    for body in place.bodies.values():
        _add_body(spec.body(body.on) if body.on else world, body)
    for cloth in place.cloths.values():
        add_cloth(spec, cloth)
    for number, spot in enumerate(place.spots):
        world.add_site(name=f"{SPOT}{number}", pos=spot, group=4)


def _add_body(world: mujoco.MjsBody, body: PlaceBody) -> None:
    x, y, z, yaw = body.at
    turn = [math.cos(yaw / 2), 0, 0, math.sin(yaw / 2)]
    made = world.add_body(name=body.name, pos=[x, y, z], quat=turn, mocap=body.posed)
    if body.free:
        made.add_freejoint(name=body.name)
    elif body.hinge:
        made.add_joint(
            name=body.name,
            type=mujoco.mjtJoint.mjJNT_HINGE,
            axis=body.hinge.axis,
            range=body.hinge.range_rad,
            limited=True,
            frictionloss=body.hinge.friction_nm,
            damping=0.01,
        )
    elif body.belt:
        # It slides, and `Robot` holds its speed and puts it back by the pitch: friction does the rest.
        made.add_joint(
            name=body.name,
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=body.belt.axis,
            range=[0, body.belt.pitch_m],
            limited=False,
        )
        made.mass, made.inertia, made.explicitinertial = _BELT_KG, [1, 1, 1], True
    moves = body.free or body.hinge is not None
    boxes = [(shape, *box) for shape in body.shapes for box in _boxes(shape)]
    volume = sum(float(_volume(shape, size)) for shape, size, _ in boxes if shape.touches)
    for number, (shape, size, at) in enumerate(boxes):
        bits = (OBJECT_BITS if moves else FURNITURE_BITS) if shape.touches else NO_CONTACT
        share = _volume(shape, size) / volume if shape.touches and moves else 0.0
        look = {"material": shape.look} if shape.look else {"rgba": shape.rgba}
        geom = made.add_geom(
            name=(shape.name or f"{body.name}/{number}"),
            type=_GEOMETRIES.get(shape.kind, _BOX),
            size=size,
            pos=at,
            mass=share * body.kg,
            **look,
            **bits,
        )
        if body.friction is not None:
            geom.priority = 1  # so that its friction counts, not that of what it touches
            geom.friction[0] = body.friction
            if not body.friction:
                geom.condim = 1  # also cheaper to compute


def _volume(shape: PlaceShape, half: list[float]) -> float:
    """Return the volume of a geometry, m^3."""
    a, b, c = half
    if shape.kind == "ball":
        return 4 / 3 * math.pi * a**3
    return math.pi * a * a * 2 * b if shape.kind == "cylinder" else 8 * a * b * c


def _boxes(shape: PlaceShape) -> list[tuple[list[float], list[float]]]:
    """Return size and position of the geometries that make a shape, as MuJoCo wants them."""
    x, y, z = shape.at_m
    if shape.kind == "cylinder":
        diameter, height = shape.size_m
        return [([diameter / 2, height / 2, 0], [x, y, z])]
    if shape.kind == "ball":
        return [([shape.size_m[0] / 2, 0, 0], [x, y, z])]
    a, b, c = (length / 2 for length in shape.size_m)
    if shape.kind == "box":
        return [([a, b, c], [x, y, z])]
    w = shape.wall_m / 2
    return [
        ([a, b, w], [x, y, z + w]),
        ([w, b, c], [x + a - w, y, z + c]),
        ([w, b, c], [x - a + w, y, z + c]),
        ([a, w, c], [x, y + b - w, z + c]),
        ([a, w, c], [x, y - b + w, z + c]),
    ]


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
    for name, picture in textures().items():
        height, width, channels = picture.shape
        spec.add_texture(
            name=name,
            type=texture.mjTEXTURE_2D,
            width=width,
            height=height,
            nchannel=channels,
            data=picture.ravel().tolist(),
        )
    for name, (surface, *_) in SURFACES.items():
        made = spec.add_material(name=name, texuniform=True, specular=0.12, shininess=0.2)
        made.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = surface
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
    # Round shapes are drawn by so many sides: at 320 x 240 nobody sees a difference, and rendering on a
    # CPU takes a third less.
    spec.visual.quality.numslices, spec.visual.quality.numstacks = 20, 8
    spec.visual.map.znear = (
        0.004  # share of the model's extent: wrist cameras see objects 2 cm away
    )
    spec.visual.map.zfar = 20
    spec.stat.extent = 2.0
