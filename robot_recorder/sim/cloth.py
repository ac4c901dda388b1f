"""A soft cloth: a grid of points with springs between them, drawn as a skin with two sides.

Its points slide freely and do not turn. Tables and hands touch them as small balls. Where the
cloth lies on itself, a flat lens around each point keeps its layers apart.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import mujoco
import numpy as np

from robot_recorder.model.errors import ConfigError
from robot_recorder.sim.places import Cloth

POINT_M = 0.006  # radius of a point: half the thickness of a hem
_GRIPPED = "/gripped"  # how the names of the geometries that hands touch end
_FRONT, _BACK = "/front", "/back"  # and those of the skins
# Furniture has bit 1, hands have bit 2; lenses meet only each other.
_LIES = {"contype": 0, "conaffinity": 1, "priority": 1}
_IS_GRIPPED = {"contype": 0, "conaffinity": 2, "priority": 2}
_LENS = {"contype": 4, "conaffinity": 4, "condim": 1, "solref": [0.02, 1]}
# A point has a gram: it passes a squeeze on only through contacts that are stiff for its mass, and
# creeps out of fingers unless friction is much stiffer than the contact.
_STIFF = {"solref": [0.005, 1], "solimp": [0.97, 0.995, 0.001, 0.5, 2]}
_IMPRATIO = 50
_LENS_M, _LENS_SHARE = 0.0024, 0.48  # half its thickness; its radius over the points' distance
# From a point to its neighbour, and the stiffness as a share: along threads, across, against bending.
_SPRINGS = (
    ((1, 0), 1.0),
    ((0, 1), 1.0),
    ((1, 1), 0.4),
    ((1, -1), 0.4),
    ((2, 0), 0.008),
    ((0, 2), 0.008),
)
_STABLE = 0.28  # most stiffness times the time step squared over the mass of a point
_SPRING_DAMPING_S = 0.0004  # of a spring over its stiffness
_AIR_N_S_M = 0.002  # drag of a point
_FINER = 3  # parts into which pictures divide the distance between points
_THICK_M = 0.0015  # half the thickness in pictures


def point_name(cloth: str, row: int, column: int) -> str:
    """Return the name of a point's body; rows follow each other along x, columns along y."""
    return f"{cloth}/{row}/{column}"


def cloths_of(model: mujoco.MjModel) -> dict[str, np.ndarray]:
    """Return the numbers of the bodies of each cloth's points, int64[rows, columns], by name."""
    skins = (model.skin(number).name for number in range(model.nskin))
    names = [skin.removesuffix(_FRONT) for skin in skins if skin.endswith(_FRONT)]
    return {name: _points(model, name) for name in names}


def gripped_geoms(model: mujoco.MjModel) -> np.ndarray:
    """Return the numbers of the geometries of cloths that hands touch, int64[n]."""
    names = [model.geom(number).name for number in range(model.ngeom)]
    return np.array([n for n, name in enumerate(names) if name.endswith(_GRIPPED)], np.int64)


def lay_flat(
    model: mujoco.MjModel,
    qpos: np.ndarray,
    points: np.ndarray,
    pose: tuple[float, float, float, float],
) -> None:
    """Lay a cloth flat.

    Args:
        model: of it.
        qpos: float64[nq], changed.
        points: of the cloth, as in `cloths_of`.
        pose: x, y, z in m and yaw in rad of its middle.
    """
    bodies = points.ravel()
    home = model.body_pos[bodies]
    away = home - home.mean(axis=0)
    along = model.body_pos[points[-1, 0]] - model.body_pos[points[0, 0]]
    yaw = pose[3] - math.atan2(along[1], along[0])
    cos, sin = math.cos(yaw), math.sin(yaw)
    turned = away @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    first = model.jnt_qposadr[model.body_jntadr[bodies]]
    qpos[first[:, None] + np.arange(3)] = turned + pose[:3] - home


def add_cloth(spec: mujoco.MjSpec, cloth: Cloth) -> None:
    """Add a cloth that lies flat where its place says.

    Raises:
        ConfigError: its springs are too stiff for the time step.
    """
    rows, columns = cloth.points
    kg = cloth.kg / (rows * columns)
    most_n_m = _STABLE * kg / spec.option.timestep**2
    if cloth.stiffness_n_m > most_n_m:
        raise ConfigError(
            f"cloth '{cloth.name}': a stiffness of {cloth.stiffness_n_m:g} N/m is unstable;"
            f" at most {most_n_m:.0f} N/m for its mass and points"
        )
    spec.option.impratio = _IMPRATIO
    at = _flat(cloth)
    lens_m = _LENS_SHARE * min(s / (n - 1) for s, n in zip(cloth.size_m, cloth.points))
    for row, column in itertools.product(range(rows), range(columns)):
        body = spec.worldbody.add_body(
            name=point_name(cloth.name, row, column), pos=at[row, column]
        )
        _add_point(body, kg, cloth.friction, lens_m)
    for one, other, share in _neighbours(cloth):
        spring = spec.add_tendon()
        spring.group = 4
        spring.stiffness[0] = share * cloth.stiffness_n_m
        spring.damping[0] = _SPRING_DAMPING_S * spring.stiffness[0]
        spring.wrap_site(one)
        spring.wrap_site(other)
    _add_skins(spec, cloth, at.reshape(-1, 3))


def _flat(cloth: Cloth) -> np.ndarray:
    """Return where the points of a flat cloth are, float64[rows, columns, 3], m."""
    along, across = (
        np.linspace(-size / 2, size / 2, count) for size, count in zip(cloth.size_m, cloth.points)
    )
    x, y = np.meshgrid(along, across, indexing="ij")
    cos, sin = math.cos(cloth.at[3]), math.sin(cloth.at[3])
    level = [cos * x - sin * y, sin * x + cos * y, np.zeros_like(x)]
    return np.stack(level, axis=-1) + np.array(cloth.at[:3])


def _add_point(body: mujoco.MjsBody, kg: float, friction: float, lens_m: float) -> None:
    for axis, direction in zip("xyz", np.eye(3)):
        body.add_joint(
            name=f"{body.name}/{axis}",
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=direction,
            damping=_AIR_N_S_M,
        )
    body.add_site(name=body.name, group=4)
    for name, mass, touches in (("", kg, _LIES), (_GRIPPED, 0.0, _IS_GRIPPED)):
        geom = body.add_geom(
            name=body.name + name,
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=[POINT_M, 0, 0],
            mass=mass,
            group=3,
            **touches,
            **_STIFF,
        )
        geom.friction[0] = friction
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_ELLIPSOID,
        size=[lens_m, lens_m, _LENS_M],
        mass=0,
        group=3,
        **_LENS,
    )


def _neighbours(cloth: Cloth) -> Iterator[tuple[str, str, float]]:
    """Give the names of two points and the stiffness between them, as a share, for each spring."""
    rows, columns = cloth.points
    for row, column in itertools.product(range(rows), range(columns)):
        for (down, right), share in _SPRINGS:
            if row + down < rows and 0 <= column + right < columns:
                other = point_name(cloth.name, row + down, column + right)
                yield point_name(cloth.name, row, column), other, share


def _add_skins(spec: mujoco.MjSpec, cloth: Cloth, at: np.ndarray) -> None:
    """Add what cameras see: two sides with a colour each, finer than the points at `at`."""
    rows, columns = cloth.points
    fine = (rows - 1) * _FINER + 1, (columns - 1) * _FINER + 1
    number = np.arange(fine[0] * fine[1]).reshape(fine)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]
    up = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
    weights = np.array(
        [_weights(row, column, rows, columns) for row, column in np.ndindex(*fine)]
    )  # of each vertex, of each point
    bound = [np.flatnonzero(column) for column in weights.T]
    names = [point_name(cloth.name, row, column) for row, column in np.ndindex(rows, columns)]
    for side, faces, rgba in ((_FRONT, up, cloth.rgba), (_BACK, up[:, ::-1], cloth.back_rgba)):
        spec.add_skin(
            name=cloth.name + side,
            rgba=rgba,
            inflate=_THICK_M,
            vert=(weights @ at).ravel(),
            face=faces.ravel(),
            bodyname=names,
            bindpos=at.ravel(),
            bindquat=np.tile([1.0, 0, 0, 0], len(names)),
            vertid=[vertices.tolist() for vertices in bound],
            vertweight=[weights[v, point].tolist() for point, v in enumerate(bound)],
        )


def _weights(row: int, column: int, rows: int, columns: int) -> np.ndarray:
    """Return how much each point counts for a vertex of the skin, float64[points]."""
    found = np.zeros((rows, columns))
    top, left = min(row // _FINER, rows - 2), min(column // _FINER, columns - 2)
    down, right = row / _FINER - top, column / _FINER - left
    found[top : top + 2, left : left + 2] = np.outer([1 - down, down], [1 - right, right])
    return found.ravel()


def _points(model: mujoco.MjModel, cloth: str) -> np.ndarray:
    names = (model.body(number).name.split("/") for number in range(model.nbody))
    last = [name for name in names if len(name) == 3 and name[0] == cloth][-1]
    rows, columns = int(last[1]) + 1, int(last[2]) + 1
    grid = [[model.body(point_name(cloth, r, c)).id for c in range(columns)] for r in range(rows)]
    return np.array(grid)
