"""Approximates the robot by boxes, cylinders and spheres, for a description without files.

Each mesh is cut into slices, and each slice becomes the box or cylinder that fits it. All
directions of cutting are tried; the tightest fit is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise, product

import mujoco
import numpy as np

from robot_recorder.model.arrays import Floats

_SLICE_M = 0.025  # approximate thickness
_MOST_SLICES = 12
_SAMPLES = 3000  # points on a mesh's surface
_TRIM = (1.0, 99.0)  # percentiles for a slice's sides, so that a bolt does not widen it
_ALIKE = 0.10  # slices whose sides differ by less than this share are merged
# Largest |u| + |v| of a slice: 1.41 for a circle, 2 for a square. In between: crossed boxes.
_ROUND, _SQUARE = 1.66, 1.80
_CHAMFER = 0.68  # share of a side that crossed boxes have in common
_SLIM = 1.35  # largest ratio of a slice's sides that may be a cylinder
_COARSER = 1.03  # each further slice must make the fit this much tighter
_VISIBLE_GROUP = 2  # group of visible geoms; the others are for contacts


@dataclass(frozen=True)
class Primitive:
    """One simple body of a link.

    Attributes:
        shape: box, cylinder or sphere.
        size: m; sides of a box; radius and length along z of a cylinder; radius of a sphere.
        centre: float64[3], m, in the link's frame.
        turn: float64[3, 3], its axes as columns, in the link's frame.
        rgba: 0 to 1.
    """

    shape: str
    size: tuple[float, ...]
    centre: Floats
    turn: Floats
    rgba: tuple[float, float, float, float]


def primitives(model: mujoco.MjModel, body: int) -> list[Primitive]:
    """Return the simple bodies of a link. Right limbs mirror the left ones, as on the robot."""
    name = model.body(body).name
    if name.startswith("right_"):
        twin = model.body(f"left_{name.removeprefix('right_')}").id
        return [_mirrored(p) for p in primitives(model, twin)]
    found: list[Primitive] = []
    first = int(model.body_geomadr[body])
    for geom in range(first, first + int(model.body_geomnum[body])):
        if model.geom_group[geom] == _VISIBLE_GROUP:
            found += _of_geom(model, geom)
    return found


def _mirrored(look: Primitive) -> Primitive:
    """Mirror at the plane y = 0; a box or cylinder then only needs a rotation."""
    flip = np.array([1.0, -1.0, 1.0])
    return replace(look, centre=look.centre * flip, turn=flip[:, None] * look.turn * flip)


def _of_geom(model: mujoco.MjModel, geom: int) -> list[Primitive]:
    material = int(model.geom_matid[geom])
    colour = model.mat_rgba[material] if material >= 0 else model.geom_rgba[geom]
    red, green, blue, alpha = (round(float(c), 3) for c in colour)
    rgba = red, green, blue, alpha
    turn = np.empty(9)
    mujoco.mju_quat2Mat(turn, model.geom_quat[geom])
    turn, centre, size = turn.reshape(3, 3), model.geom_pos[geom], model.geom_size[geom]
    kind = model.geom_type[geom]
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        return [Primitive("box", tuple((2 * size).tolist()), centre, turn, rgba)]
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        return [Primitive("sphere", (float(size[0]),), centre, np.eye(3), rgba)]
    if kind != mujoco.mjtGeom.mjGEOM_MESH:
        raise ValueError(f"geom {geom} is a {mujoco.mjtGeom(kind).name}: add it here")
    points = _surface(model, int(model.geom_dataid[geom])) @ turn.T + centre
    # Along the link's axes, or along the mesh's own.
    fits = [_cut(points, axes, along) for axes, along in product((np.eye(3), turn), range(3))]
    best = min(fits, key=_volume)
    return [Primitive(shape, size, at, frame, rgba) for shape, size, at, frame in best]


_Fit = list[tuple[str, tuple[float, ...], Floats, Floats]]


def _volume(fit: _Fit) -> float:
    total = 0.0
    for shape, size, _, _ in fit:
        total += np.pi * size[0] ** 2 * size[1] if shape == "cylinder" else float(np.prod(size))
    return total * _COARSER ** len(fit)


def _surface(model: mujoco.MjModel, mesh: int) -> Floats:
    """Return float64[n, 3]: points spread evenly over a mesh, the same in every call."""
    start, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
    vertices = model.mesh_vert[start : start + count].astype(np.float64)
    start, count = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
    a, b, c = (vertices[model.mesh_face[start : start + count, corner]] for corner in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    random = np.random.default_rng(0)
    chosen = random.choice(count, _SAMPLES, p=area / area.sum())
    u, v = random.random((2, _SAMPLES, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    return np.asarray(a[chosen] + u * (b - a)[chosen] + v * (c - a)[chosen])


def _cut(points: Floats, axes: Floats, along: int) -> _Fit:
    """Return boxes and cylinders around points.

    Args:
        points: float64[n, 3], m.
        axes: float64[3, 3], columns; the slices' sides are along them.
        along: index of the axis through the slices.
    """
    # Right-handed, with the axis through the slices last, because it is a cylinder's axis.
    frame = np.roll(axes, 2 - along, axis=1)
    local = points @ frame
    low, high = np.percentile(local[:, 2], (0.2, 99.8))
    slices = int(np.clip(round((high - low) / _SLICE_M), 1, _MOST_SLICES))
    edges = np.linspace(low, high, slices + 1)
    blocks: list[tuple[float, float, Floats]] = []  # from, to, points
    for start, end in pairwise(edges.tolist()):
        inside = local[(local[:, 2] >= start) & (local[:, 2] <= end)]
        if len(inside) < 8:
            continue
        if blocks and _alike(blocks[-1][2], inside):
            begun, _, before = blocks.pop()
            blocks.append((begun, end, np.concatenate((before, inside))))
        else:
            blocks.append((start, end, inside))
    fit: _Fit = []
    for start, end, inside in blocks:
        shape, sides, middle = _slice(inside)
        centre = frame @ np.array([*middle, (start + end) / 2])
        fit += [(shape, (*across, end - start), centre, frame) for across in sides]
    return fit


def _sides(points: Floats) -> tuple[Floats, Floats]:
    """Return the lowest and highest coordinates of a slice along its two sides."""
    low, high = np.percentile(points[:, :2], _TRIM, axis=0)
    return low, high


def _alike(one: Floats, other: Floats) -> bool:
    (low, high), (other_low, other_high) = _sides(one), _sides(other)
    room = _ALIKE * np.maximum(high - low, other_high - other_low)
    return bool((np.abs(low - other_low) < room).all() and (np.abs(high - other_high) < room).all())


def _slice(points: Floats) -> tuple[str, list[tuple[float, ...]], Floats]:
    """Return a slice's shape, radius or sides (m) of one or two bodies, and their centre."""
    low, high = _sides(points)
    width, depth = np.maximum(high - low, 1e-3).tolist()
    middle = (low + high) / 2
    corner = np.percentile(
        (np.abs(points[:, :2] - middle) / (width / 2, depth / 2)).sum(axis=1), 97
    )
    if corner < _ROUND and max(width, depth) < _SLIM * min(width, depth):
        return "cylinder", [((width + depth) / 4,)], middle
    if corner < _SQUARE:
        return "box", [(width, depth * _CHAMFER), (width * _CHAMFER, depth)], middle
    return "box", [(width, depth)], middle
