"""The simulated robot as a ROS node: runs the physics in real time and publishes every sensor."""

from __future__ import annotations

import array
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import WrenchStamped
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from robot_recorder.cli.terminal import log_visibly, say_error
from robot_recorder.configuration.find import config_directory
from robot_recorder.model.errors import ConfigError, RecorderError
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S
from robot_recorder.msg import TactileArray
from robot_recorder.nodes.checked_services import serve
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.runtime import LATCHED, parameter, spin_once
from robot_recorder.sim.camera_process import Shot, run_cameras
from robot_recorder.sim.delivery import Delivery, Timing, parse_timings
from robot_recorder.sim.description import robot_description
from robot_recorder.sim.model import JOINT_NAMES, PLACES, build_model
from robot_recorder.sim.place_markers import RATE_HZ, PlacePublisher
from robot_recorder.sim.robot import Robot
from robot_recorder.sim.scenarios import Scenario
from robot_recorder.sim.scripted_operator import OperatorProcess
from robot_recorder.sim.tasks import TASKS, draw, tasks_of
from robot_recorder.sim.teleoperator import Teleoperator
from robot_recorder.sim.templates import MessageTemplate, markers
from robot_recorder.sim.worn_devices import WornDevices
from robot_recorder.srv import PerformTask

STEP_NS = 2 * NS_PER_MS
_SIDES = ("left", "right")
_IMU_NS, _TACTILE_NS, _OBJECTS_NS = NS_PER_S // 200, NS_PER_S // 100, NS_PER_S // RATE_HZ
_LATE_NS = 20 * NS_PER_MS  # further behind than this, the physics gives up real time
_SAME_NS = 1000  # the physics' time is a sum of steps, which rounding makes a little wrong
_SETTLE_STEPS = 100  # lets objects come to rest before the outcome is judged
_WRENCH_NOISE = np.repeat([1.0, 0.04], 3)  # noise of torques (N m) relative to forces (N)
_TAXEL_NOISE = np.ones(16)
_SHOTS_AHEAD = 2  # pictures that may wait for a camera before the next one is left out


class AttemptTimes:
    """The robot clock's time of an attempt's moments, also when the physics has given up real time."""

    def __init__(self) -> None:
        self._since_s: list[float] = []
        self._begins_ns: list[int] = []  # of the attempt, as it seems since then

    def note(self, time_s: float, now_ns: int) -> None:
        """Take the attempt's time and the robot clock's, of each step."""
        begin_ns = now_ns - round(time_s * NS_PER_S)
        if not self._begins_ns or abs(begin_ns - self._begins_ns[-1]) > _SAME_NS:
            self._since_s.append(time_s)
            self._begins_ns.append(begin_ns)

    def stamped(self, moments: list[tuple[float, str]]) -> list[list[Any]]:
        """Return moments (time in the attempt, name) as [robot clock, ns; name]."""
        return [[self._at_ns(time_s), name] for time_s, name in moments]

    def _at_ns(self, time_s: float) -> int:
        place = max(bisect_right(self._since_s, time_s) - 1, 0)
        return self._begins_ns[place] + round(time_s * NS_PER_S)


class SimRobot:
    """The robot in real time: ``run`` steps the physics and publishes, in the calling thread."""

    def __init__(self, node: Node) -> None:
        cache = Path(
            parameter(node, "cache", ".cache/sim", "directory of the prepared 3D model")
        ).expanduser()
        default = str(config_directory() / "sim_g1.yaml")
        timing_file = Path(
            parameter(node, "timings", default, "how each sensor stamps and delivers")
        )
        names = "cameras to render, comma separated; none: no cameras"
        cameras = parameter(node, "cameras", "head_camera,left_wrist_camera", names)
        rate = float(parameter(node, "camera_rate_hz", 15.0, "pictures per second of each camera"))
        self._timings = parse_timings(timing_file.read_text(encoding="utf-8"), str(timing_file))
        self._node = node
        self._place = parameter(node, "place", PLACES[0], f"where it works: {', '.join(PLACES)}")
        model = build_model(cache, self._place)
        if not tasks_of(self._place):
            raise ConfigError(
                f"no task is done in place '{self._place}': add one to robot_recorder/sim/tasks.py"
            )
        self._operator = OperatorProcess(cache, self._place)
        self._robot = Robot(model, self._operator)
        self._lock = threading.Lock()
        self._next: tuple[Scenario, bool] | None = None
        self._scenario: Scenario | None = None
        self._delivery = Delivery(seed=1)
        self._began_ns = time.time_ns()
        self._random = np.random.default_rng(3)
        self._cameras = [c for c in cameras.split(",") if c and c != "none"]
        self._camera_ns = round(NS_PER_S / rate)
        self._pending = dict.fromkeys(self._cameras, 0)
        self._orders: Any = None
        self._process: Any = None
        self.slipped_ns = 0  # real time given up in total
        self.shots_left_out = 0
        self._reported = (0, 0)
        if self._cameras:
            self._start_cameras(cache, node.get_namespace())
        self._robot.reset(draw(tasks_of(self._place)[0], 0))
        self._result = node.create_publisher(String, "sim/result", LATCHED)
        self._description = node.create_publisher(String, "robot_description", LATCHED)
        self._description.publish(String(data=robot_description(model)))
        self._times = AttemptTimes()
        self._surroundings = PlacePublisher(node, model)
        self._surroundings.begin(self._robot.data)
        self._build_publishers()
        self._devices = WornDevices(
            node, Teleoperator(model), self._timings, self._delivery, self._began_ns
        )
        self._targets: np.ndarray | None = None  # newest of who drives; None: taken
        node.create_subscription(JointState, "joint_targets", self._on_targets, 1)
        serve(node, SetBool, "sim/wear_headset", self._wear)
        serve(node, PerformTask, "sim/perform", self._perform)
        serve(node, Trigger, "sim/judge", self._judge)
        node.create_timer(1.0, self._report)

    def _start_cameras(self, cache: Path, namespace: str) -> None:
        spawn = multiprocessing.get_context(
            "spawn"
        )  # threads of OpenGL and DDS do not survive a fork
        self._orders, theirs = spawn.Pipe()
        arguments = (theirs, cache, self._place, namespace, self._timings)
        self._process = spawn.Process(target=run_cameras, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        try:
            self._orders.recv()
        except EOFError as error:
            raise ConfigError(
                "the cameras could not start: offscreen rendering needs Mesa's EGL "
                "(apt-get install libegl1 libgl1 libegl-mesa0 libgl1-mesa-dri), or run with cameras:=none"
            ) from error

    def _build_publishers(self) -> None:
        node, joints = self._node, len(JOINT_NAMES)
        q, v, t = (markers(i, joints) for i in range(3))

        def publisher(kind: Any, topic: str) -> Callable[[bytes], None]:
            publish: Callable[[bytes], None] = node.create_publisher(
                kind, topic, qos_profile_sensor_data if kind is Imu else 50
            ).publish
            return publish

        def doubles(a: np.ndarray) -> array.array[float]:
            return array.array("d", a)

        states = JointState(
            name=JOINT_NAMES, position=doubles(q), velocity=doubles(v), effort=doubles(t)
        )
        self._states = (
            MessageTemplate(states, {"q": q, "v": v, "t": t}),
            publisher(JointState, "joint_states"),
        )
        commands = JointState(name=JOINT_NAMES, position=doubles(q))
        self._commands = (
            MessageTemplate(commands, {"q": q}),
            publisher(JointState, "joint_commands"),
        )
        self._wrench, self._tactile = {}, {}
        for side in _SIDES:
            wrench, w = WrenchStamped(), markers(3, 6)
            wrench.header.frame_id = f"{side}_wrist_ft"
            f, m = wrench.wrench.force, wrench.wrench.torque
            f.x, f.y, f.z, m.x, m.y, m.z = (float(x) for x in w)
            topic = f"{side}_wrist/wrench"
            self._wrench[side] = MessageTemplate(wrench, {"w": w}), publisher(WrenchStamped, topic)
            pad, p = (
                TactileArray(unit=TactileArray.UNIT_PASCAL, rows=4, cols=4),
                markers(4, 16, np.float32),
            )
            pad.header.frame_id = f"{side}_palm"
            pad.normal = array.array("f", p)
            topic = f"{side}_palm/tactile"
            self._tactile[side] = MessageTemplate(pad, {"p": p}), publisher(TactileArray, topic)
        imu, i = Imu(), markers(5, 10)
        imu.header.frame_id = "imu_in_torso"
        o, g, a = imu.orientation, imu.angular_velocity, imu.linear_acceleration
        o.x, o.y, o.z, o.w, g.x, g.y, g.z, a.x, a.y, a.z = (float(x) for x in i)
        parts = {"o": i[:4], "g": i[4:7], "a": i[7:]}
        self._imu = MessageTemplate(imu, parts), publisher(Imu, "imu")

    def _perform(self, request: Any, response: Any) -> Any:
        here = tasks_of(self._place)
        if request.task not in here:
            response.message = (
                f"unknown task '{request.task}' in {self._place}; known: {', '.join(here)}"
            )
            if request.task in TASKS:
                response.message += f"; it is done in place:={TASKS[request.task].place}"
            return response
        with self._lock:
            self._next = draw(request.task, request.seed), not request.only_reset
        deadline = time.monotonic() + 10
        while self._next is not None and time.monotonic() < deadline:
            time.sleep(0.005)
        response.success = self._next is None
        did = "set up" if request.only_reset else "performing"
        did = did if response.success else "the simulation is too busy to set up"
        response.message = f"{did} {request.task}, seed {request.seed}"
        return response

    def _on_targets(self, message: JointState) -> None:
        """Take the joints that a message names; the others stay."""
        unknown = set(message.name) - set(JOINT_NAMES)
        angles = np.array(message.position)
        if unknown or len(angles) != len(message.name) or not np.isfinite(angles).all():
            why = f"unknown joints {sorted(unknown)}" if unknown else "not one angle for each joint"
            NodeLog(self._node).seldom_warning(f"joint_targets are ignored: {why}")
            return
        targets = self._robot.joint_command
        targets[[JOINT_NAMES.index(name) for name in message.name]] = angles
        self._targets = targets

    def _judge(self, _: Any, response: Any) -> Any:
        """Answer how the attempt has gone so far, also of who drives: no script ends theirs."""
        result = self._robot.outcome()
        response.success, response.message = result.success, result.detail
        return response

    def _wear(self, request: Any, response: Any) -> Any:
        self._devices.worn = request.data
        response.success = True
        response.message = f"the headset is {'worn' if request.data else 'off and lies still'}"
        return response

    def _take_order(self, now_ns: int) -> None:
        with self._lock:
            scenario, begin = self._next or (None, False)
        if scenario is None:
            return
        # Keep the scene if it was set up for exactly this; otherwise set it up now.
        if not (begin and scenario == self._scenario and not self._robot.done):
            self._robot.reset(scenario)
            self._times = AttemptTimes()
            self._surroundings.begin(self._robot.data)
        self._scenario = scenario
        if begin:
            self._robot.begin()
        self._result.publish(String(data=json.dumps({"state": "performing" if begin else "ready"})))
        with self._lock:
            self._next = None

    def run(self, ending: threading.Event) -> None:
        """Run in real time until ``ending`` is set."""
        robot, step, judge_at = self._robot, 0, -1
        origin_ns = time.time_ns()
        while not ending.is_set():
            due_ns = origin_ns + step * STEP_NS
            now_ns = time.time_ns()
            while now_ns < due_ns:
                time.sleep(min((due_ns - now_ns) / NS_PER_S, 0.001))
                self._delivery.run(now_ns)
                now_ns = time.time_ns()
            lag_ns = now_ns - due_ns
            if self._next is not None:
                self._take_order(due_ns)
                lag_ns = time.time_ns() - due_ns
                origin_ns += lag_ns  # the time to set up a scene does not count as lag
                due_ns += lag_ns
            elif lag_ns > _LATE_NS:
                origin_ns += lag_ns
                due_ns += lag_ns
                self.slipped_ns += lag_ns
            was_running = robot.running
            targets, self._targets = self._targets, None
            if targets is not None:
                robot.follow(targets)
            robot.step()
            self._times.note(robot.time_s, due_ns)
            self._publish(step, due_ns)
            self._delivery.run(time.time_ns())
            if was_running and robot.done:
                judge_at = step + _SETTLE_STEPS
            if step == judge_at:
                self._publish_result()
            step += 1
        self.close()

    def _publish(self, step: int, now_ns: int) -> None:
        robot, at_ns = self._robot, step * STEP_NS

        def send(name: str, output: Any, **values: np.ndarray) -> None:
            template, publish = output
            timing = self._timings.get(name, Timing())
            data = template.fill(timing.stamp_ns(now_ns, self._began_ns), **values)
            self._delivery.send(publish, data, now_ns, timing)

        q, v, t = robot.joint_position, robot.joint_velocity, robot.joint_effort
        send("joint_states", self._states, q=q, v=v, t=t)
        send("joint_commands", self._commands, q=robot.joint_command)
        wrench = robot.wrench
        for side in _SIDES:
            send(
                "wrench", self._wrench[side], w=wrench[side] + self._noise("wrench", _WRENCH_NOISE)
            )
        if at_ns % _TACTILE_NS < STEP_NS:
            tactile = robot.tactile
            for side in _SIDES:
                pressure = tactile[side].ravel()
                send(
                    "tactile",
                    self._tactile[side],
                    p=pressure + self._noise("tactile", _TAXEL_NOISE),
                )
        if at_ns % _IMU_NS < STEP_NS:
            orientation, rate, acceleration = robot.imu
            send("imu", self._imu, o=orientation, g=rate, a=acceleration)
        if at_ns % _OBJECTS_NS < STEP_NS:
            self._surroundings.publish(robot.data, now_ns)
        self._devices.publish(at_ns, now_ns, robot.later_command)
        for number, camera in enumerate(self._cameras):
            # The cameras expose one after another, so that one core can render them.
            phase_ns = self._camera_ns * number // len(self._cameras)
            if (at_ns + phase_ns) % self._camera_ns < STEP_NS:
                self._shoot(camera, now_ns)

    def _noise(self, sensor: str, shares: np.ndarray) -> np.ndarray:
        scale = self._timings.get(sensor, Timing()).noise
        return self._random.standard_normal(len(shares)) * (scale * shares)

    def _shoot(self, camera: str, now_ns: int) -> None:
        while self._orders.poll():
            self._pending[self._orders.recv()] -= 1
        if self._pending[camera] >= _SHOTS_AHEAD:
            self.shots_left_out += 1
            return
        self._pending[camera] += 1
        self._orders.send(Shot(camera, now_ns, self._robot.snapshot(), self._robot.look))

    def _publish_result(self) -> None:
        robot, scenario = self._robot, self._scenario
        outcome = robot.outcome()
        self._result.publish(
            String(
                data=json.dumps(
                    {
                        "state": "done",
                        "task": scenario.task if scenario else "",
                        "seed": scenario.seed if scenario else 0,
                        "success": outcome.success,
                        "cause": outcome.cause,
                        "detail": outcome.detail,
                        "real_time_given_up_ms": self.slipped_ns / 1e6,
                        "pictures_left_out": self.shots_left_out,
                        "phases": self._times.stamped(robot.phases),
                        "events": self._times.stamped(robot.events),
                    }
                )
            )
        )

    def _report(self) -> None:
        lost = self.slipped_ns, self.shots_left_out
        if lost != self._reported:
            NodeLog(self._node).warning(
                f"the simulation cannot keep real time: {self.slipped_ns / 1e6:.0f} ms given up, "
                f"{self.shots_left_out} pictures left out since the start"
            )
        self._reported = lost

    def close(self) -> None:
        """Stop the processes of the cameras and of the operator."""
        self._operator.close()
        if self._process is not None:
            try:
                self._orders.send(None)
            except OSError:
                pass
            self._process.join(5)
            self._process = None


def main() -> int:
    """Entry point of ``ros2 run robot_recorder sim_robot``."""
    os.environ.setdefault("MUJOCO_GL", "egl")
    log_visibly()
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    node = rclpy.create_node("sim_robot")
    try:
        robot = SimRobot(node)
    except RecorderError as error:
        say_error(f"error: {error}")
        return 2
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def spin() -> None:
        try:
            while not ending.is_set():
                spin_once(executor, node, 0.1)
        except ExternalShutdownException:
            ending.set()

    services = threading.Thread(target=spin, daemon=True)
    services.start()
    NodeLog(node).info("the simulated robot is running")
    robot.run(ending)
    services.join()
    rclpy.try_shutdown()
    return 0
