"""How near the arms are to the robot's own body and to each other.

The body (torso, head, pelvis, thighs) stands still while the arms move, so its distance is looked up in a
grid. An arm is covered by spheres: what they say is never more than the distance of the hulls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import mujoco
import numpy as np
from scipy.spatial import ConvexHull, cKDTree

from robot_recorder.sim.model import SIDES

_STEP_M = 0.02  # of the grid and of the points on surfaces
_LOW_M, _HIGH_M = np.array([-0.30, -0.40, 0.50]), np.array([0.36, 0.40, 1.46])
_SHAPE = np.rint((_HIGH_M - _LOW_M) / _STEP_M).astype(int) + 1
_STRIDES = np.array([_SHAPE[1] * _SHAPE[2], _SHAPE[2], 1])
_FAR_M = 0.12  # larger gaps are not told apart
_GRID_ERROR_M = 0.002  # what the grid may say too much
_LARGEST_M = 0.05  # of the spheres
# Links of an arm, what they are called, and the largest sphere that covers a part of them, m. Thumbs are last.
_ARM = {
    "shoulder_yaw_link": ("upper arm", _LARGEST_M),
    "elbow_link": ("forearm", _LARGEST_M),
    "wrist_roll_link": ("wrist", 0.045),
    "wrist_pitch_link": ("wrist", 0.045),
    "wrist_yaw_link": ("hand", 0.035),
    "hand_middle_0_link": ("fingers", 0.025),
    "hand_middle_1_link": ("fingers", 0.025),
    "hand_index_0_link": ("fingers", 0.025),
    "hand_index_1_link": ("fingers", 0.025),
    "hand_thumb_1_link": ("thumb", 0.025),
    "hand_thumb_2_link": ("thumb", 0.025),
}


class Near(NamedTuple):
    """A place of an arm that is near to something.

    Attributes:
        gap_m: to the other; negative: inside.
        what: the two, to be read by a person.
        body: number of the arm's link.
        others: geoms of the body's part, or of the other arm.
        point_m: float64[3], in the world.
        away: float64[3], the direction in which the gap grows.
    """

    gap_m: float
    what: str
    body: int
    others: tuple[int, ...]
    point_m: np.ndarray
    away: np.ndarray


@dataclass(frozen=True)
class _Spheres:
    """What covers an arm; the first `crossing` of them may not come near to the other arm.

    ``part`` are the rows of an arm among those of both, ``geoms`` those that may not be crossed.
    """

    links: tuple[str, ...]
    bodies: np.ndarray
    centres_m: np.ndarray
    radii_m: np.ndarray
    crossing: int
    part: slice
    geoms: tuple[int, ...]


def clearance_of(model: mujoco.MjModel) -> Clearance:
    """Return what measures a robot, which takes a second the first time."""
    key = hash((model.mesh_vert.tobytes(), model.geom_pos.tobytes(), model.body_pos.tobytes()))
    if key not in _MEASURED:
        _MEASURED[key] = Clearance(model)
    return _MEASURED[key]


class Clearance:
    """Measures gaps between arm and body, and between both arms, with waist and fingers at zero.

    Thumbs count only against the body: where they are to the other hand depends on how they are bent.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        """Measure the robot.

        Args:
            model: of the robot.
        """
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        left, right = (_arm(model, side) for side in SIDES)
        count = len(left.links)
        self._arms = {
            "left": left,
            "right": replace(right, part=slice(count, count + len(right.links))),
        }
        self._bodies = np.concatenate([left.bodies, right.bodies])
        self._centres_m = np.concatenate([left.centres_m, right.centres_m])[:, :, None]
        parts = _body_parts(model)
        self._parts = [(name, tuple(geoms)) for name, geoms in parts.items()]
        self._gaps, self._nearest = _grid(model, data, list(parts.values()))

    def near(self, data: mujoco.MjData, side: str, within_m: float) -> list[Near]:
        """Return what is nearer to an arm than a distance; `data` has the kinematics of both arms."""
        turns = data.xmat[self._bodies].reshape(-1, 3, 3)
        both = data.xpos[self._bodies] + (turns @ self._centres_m)[:, :, 0]
        left, right = self._arms.values()
        arm = left if side == "left" else right
        found = self._near_body(arm, both[arm.part], side, within_m)
        left_m, right_m = both[: left.crossing], both[right.part][: right.crossing]
        if left_m[:, 1].min() - right_m[:, 1].max() < within_m + 2 * _LARGEST_M:
            mine, its = (left_m, right_m) if arm is left else (right_m, left_m)
            found += _near_arm((arm, mine), (right if arm is left else left, its), side, within_m)
        return found

    def exact_m(self, model: mujoco.MjModel, data: mujoco.MjData, near: Near) -> float:
        """Return the gap between the hulls of a link and of what it is near to, m; takes a millisecond."""
        ends = np.empty(6)
        return min(
            mujoco.mj_geomDistance(model, data, geom, other, 1.0, ends)
            for geom in _meshes(model, near.body)
            for other in near.others
        )

    def _near_body(
        self, arm: _Spheres, places: np.ndarray, side: str, within_m: float
    ) -> list[Near]:
        # The nearest grid point tells for most of them that the body is far.
        at = np.minimum(np.maximum((places - _LOW_M) * (1 / _STEP_M), 0), _SHAPE - 1)
        nodes = (at + 0.5).astype(int)
        rough_m = self._gaps.ravel()[nodes @ _STRIDES] - arm.radii_m
        found = []
        for n in np.flatnonzero(rough_m < within_m + 0.9 * _STEP_M):
            gap_m, away = self._body_gap(places[n])
            gap_m -= arm.radii_m[n]
            if gap_m < within_m:
                part, others = self._parts[self._nearest.ravel()[nodes[n] @ _STRIDES]]
                what = f"the {side} {arm.links[n]} and the {part}"
                found.append(Near(gap_m, what, int(arm.bodies[n]), others, places[n], away))
        return found

    def _body_gap(self, place_m: np.ndarray) -> tuple[float, np.ndarray]:
        """Return how far a point is from the body, m, and where it would be farther, float64[3]."""
        held = np.clip(place_m, _LOW_M, _HIGH_M)
        beyond_m = math.dist(place_m, held)
        at = (held - _LOW_M) / _STEP_M
        i, j, k = np.minimum(at.astype(int), _SHAPE - 2).tolist()
        x, y, z = at.tolist()
        u, v, w = x - i, y - j, z - k
        # Trilinear, in plain numbers: arrays of eight take several times as long.
        a, b, c, d, e, f, g, h = self._gaps[i : i + 2, j : j + 2, k : k + 2].ravel().tolist()
        low, high = (1 - w) * a + w * b, (1 - w) * c + w * d
        lower, higher = (1 - w) * e + w * f, (1 - w) * g + w * h
        near, far = (1 - v) * low + v * high, (1 - v) * lower + v * higher
        slope = (
            far - near,
            (1 - u) * (high - low) + u * (higher - lower),
            (1 - u) * ((1 - v) * (b - a) + v * (d - c)) + u * ((1 - v) * (f - e) + v * (h - g)),
        )
        length = max(math.hypot(*slope), 1e-9)
        gap_m = (1 - u) * near + u * far + beyond_m - _GRID_ERROR_M
        return gap_m, np.array(slope) / length


def _near_arm(
    own: tuple[_Spheres, np.ndarray], other: tuple[_Spheres, np.ndarray], side: str, within_m: float
) -> list[Near]:
    (arm, places), (second, its) = own, other
    ways = places[:, None] - its[None]
    lengths = np.sqrt((ways * ways).sum(axis=2))
    gaps = lengths - arm.radii_m[: len(places), None] - second.radii_m[None, : len(its)]
    theirs, others = ("right" if side == "left" else "left"), second.geoms
    found = []
    for n in np.flatnonzero((gaps < within_m).any(axis=1)):
        column = int(gaps[n].argmin())
        away = ways[n, column] / max(lengths[n, column], 1e-6)
        what = f"the {side} {arm.links[n]} and the {theirs} {second.links[column]}"
        found.append(
            Near(float(gaps[n, column]), what, int(arm.bodies[n]), others, places[n], away)
        )
    return found


_MEASURED: dict[int, Clearance] = {}


# -- fitting


def _arm(model: mujoco.MjModel, side: str) -> _Spheres:
    """Cover the links of an arm with spheres."""
    links: list[str] = []
    bodies, centres, radii = [], [], []
    for link, (name, largest_m) in _ARM.items():
        body = model.body(f"{side}_{link}").id
        points = np.concatenate([
            _surface(vertices) for vertices in _vertices(model, body)
        ])  # fmt: skip
        for centre, radius in _cover(points, largest_m):
            links.append(name)
            bodies.append(body)
            centres.append(centre)
            radii.append(radius)
    crossing = links.index("thumb")
    geoms = tuple(
        geom for body in dict.fromkeys(bodies[:crossing]) for geom in _meshes(model, body)
    )
    return _Spheres(
        tuple(links), np.array(bodies), np.array(centres), np.array(radii), crossing,
        slice(0, len(links)), geoms,
    )  # fmt: skip


def _vertices(model: mujoco.MjModel, body: int) -> list[np.ndarray]:
    """Return the corners of each mesh of a body, float64[n, 3], m, in its frame."""
    found, turn = [], np.empty(9)
    for geom in _meshes(model, body):
        mujoco.mju_quat2Mat(turn, model.geom_quat[geom])
        found.append(_corners(model, geom) @ turn.reshape(3, 3).T + model.geom_pos[geom])
    return found


def _meshes(model: mujoco.MjModel, body: int) -> list[int]:
    """Return the meshes among the geoms of a body; the others lie within them."""
    first = model.body_geomadr[body]
    geoms = range(first, first + model.body_geomnum[body])
    return [geom for geom in geoms if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH]


def _corners(model: mujoco.MjModel, geom: int) -> np.ndarray:
    """Return the corners of a geom's mesh, float64[n, 3], m, in the frame of the geom."""
    mesh = model.geom_dataid[geom]
    begin = model.mesh_vertadr[mesh]
    return np.array(model.mesh_vert[begin : begin + model.mesh_vertnum[mesh]], np.float64)


def _surface(points: np.ndarray) -> np.ndarray:
    """Return points all over the convex hull of some, float64[n, 3], no farther apart than the grid."""
    triangles = points[ConvexHull(points).simplices]
    longest_m = np.linalg.norm(triangles - np.roll(triangles, 1, axis=1), axis=2).max(axis=1)
    parts = np.ceil(longest_m / _STEP_M).astype(int)
    found = []
    for n in np.unique(parts):
        shares = [(i, j, n - i - j) for i in range(n + 1) for j in range(n + 1 - i)]
        found.append((np.array(shares) / n @ triangles[parts == n]).reshape(-1, 3))
    return np.unique(np.concatenate(found).round(4), axis=0)


def _cover(points: np.ndarray, largest_m: float) -> list[tuple[np.ndarray, float]]:
    """Return the fewest balls found, each a centre and a radius, that contain all points."""
    first = points[[int(points[:, 0].argmin())]]
    for count in range(1, 40):
        centres = first
        while len(centres) < count:  # the farthest points first
            away = np.linalg.norm(points[:, None] - centres[None], axis=2).min(axis=1)
            centres = np.concatenate([centres, points[[int(away.argmax())]]])
        for _ in range(10):
            away = np.linalg.norm(points[:, None] - centres[None], axis=2)
            own = away.argmin(axis=1)
            centres = np.array([
                (points[own == k].min(axis=0) + points[own == k].max(axis=0)) / 2
                if (own == k).any() else centres[k]
                for k in range(count)
            ])  # fmt: skip
        away = np.linalg.norm(points[:, None] - centres[None], axis=2)
        own = away.argmin(axis=1)
        radii = [float(away[own == k, k].max(initial=0.0)) for k in range(count)]
        if max(radii) <= largest_m:
            return [(centre, radius) for centre, radius in zip(centres, radii) if radius > 0]
    raise AssertionError("a link of an arm is longer than any")


def _body_parts(model: mujoco.MjModel) -> dict[str, list[int]]:
    """Return the geoms of what does not move with the arms, by name."""
    parts: dict[str, list[int]] = {"torso": [], "head": [], "pelvis": [], "thighs": []}
    for geom in range(model.ngeom):
        body = model.body(model.geom_bodyid[geom]).name
        if model.geom_type[geom] != mujoco.mjtGeom.mjGEOM_MESH:
            continue
        if "_hip_" in body:
            parts["thighs"].append(geom)
        elif body == "pelvis":
            parts["pelvis"].append(geom)
        elif body == "torso_link":
            head = "head" in model.mesh(model.geom_dataid[geom]).name
            parts["head" if head else "torso"].append(geom)
    return parts


def _grid(
    model: mujoco.MjModel, data: mujoco.MjData, parts: list[list[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gap at each grid point, m, and the number of the nearest part; parts are of geoms."""
    axes = [_LOW_M[axis] + _STEP_M * np.arange(_SHAPE[axis]) for axis in range(3)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    samples, owners, inside_m = [], [], np.full(len(nodes), np.inf)
    for number, geoms in enumerate(parts):
        for geom in geoms:
            points = _corners(model, geom)
            points = points @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]
            surface = _surface(points)
            samples.append(surface)
            owners += [number] * len(surface)
            near = ((nodes > points.min(axis=0)) & (nodes < points.max(axis=0))).all(axis=1)
            planes = ConvexHull(points).equations
            depth_m = (nodes[near] @ planes[:, :3].T + planes[:, 3]).max(axis=1)
            inside_m[near] = np.minimum(inside_m[near], depth_m)
    tree = cKDTree(np.concatenate(samples))
    gaps, nearest = tree.query(nodes, distance_upper_bound=_FAR_M)
    far = ~np.isfinite(gaps)
    gaps[far], nearest[far] = _FAR_M, 0
    gaps = np.where(inside_m < 0, inside_m, gaps)
    shape = tuple(_SHAPE)
    return gaps.reshape(shape), np.array(owners)[nearest].reshape(shape)
