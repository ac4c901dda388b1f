"""Call the services from a shell without the `ros2` command line, for installations from wheels.

call                                   list the services
call start task=lift_box               fields as name=value, where `ros2 service call` takes YAML
call mark_outcome outcome=2 cause=slip
call --namespace robot_07 stop
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import rclpy
import yaml
from rclpy.exceptions import NameValidationException
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import SetBool, Trigger

from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.terminal import say, say_error
from robot_recorder.configuration.yaml_source import did_you_mean
from robot_recorder.messages.installed_types import load_without_generator
from robot_recorder.nodes.checked_services import message_problem
from robot_recorder.srv import (
    Annotate,
    DiscardEpisode,
    MarkOutcome,
    PerformTask,
    RestoreEpisode,
    SetTask,
    StartEpisode,
    StopEpisode,
)

SERVICES: dict[str, tuple[str, Any]] = {
    "start": ("recorder/start_episode", StartEpisode),
    "stop": ("recorder/stop_episode", StopEpisode),
    "toggle": ("recorder/toggle_episode", Trigger),
    "discard": ("recorder/discard_episode", DiscardEpisode),
    "restore": ("recorder/restore_episode", RestoreEpisode),
    "set_task": ("labeller/set_task", SetTask),
    "success": ("labeller/mark_success", Trigger),
    "failure": ("labeller/mark_failure", Trigger),
    "mark_outcome": ("labeller/mark_outcome", MarkOutcome),
    "annotate": ("labeller/annotate", Annotate),
    "perform": ("sim/perform", PerformTask),
    "wear_headset": ("sim/wear_headset", SetBool),
    "calibrate": ("teleop/calibrate", Trigger),
}


def main() -> int:
    """Run ``ros2 run robot_recorder call``.

    Returns:
        Exit code: 0: the service succeeded; 1: it failed; 2: it could not be called; 130: Ctrl-C.
    """
    listed = "\n".join(f"  {name:13} {topic}" for name, (topic, _) in SERVICES.items())
    parser = argparse.ArgumentParser(
        prog="call",
        epilog=f"services:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--namespace", default="", help="namespace of the robot")
    parser.add_argument("--enclave", default="", help="security enclave to call from")
    parser.add_argument("service", choices=SERVICES, metavar="SERVICE")
    parser.add_argument("fields", nargs="*", metavar="NAME=VALUE")
    options = parser.parse_args(sys.argv[1:] or ["--help"])
    name, kind = SERVICES[options.service]
    try:
        request = _request(kind, options.fields)
    except (ArithmeticError, AssertionError, TypeError, ValueError, yaml.YAMLError) as error:
        known = ", ".join(kind.Request.get_fields_and_field_types()) or "none"
        say_error(f"error: {error}; fields of {options.service}: {known}")
        return 2
    enclave = ["--ros-args", "--enclave", options.enclave] if options.enclave else []
    load_without_generator()
    rclpy.init(args=enclave, signal_handler_options=SignalHandlerOptions.NO)
    try:
        return _call(kind, name, options.namespace, request)
    except KeyboardInterrupt:
        say_error(f"interrupted before {name} answered")
        return ExitCode.INTERRUPTED
    except NameValidationException as error:
        say_error(f"error: --namespace '{options.namespace}' is invalid: {error}")
        return 2
    finally:
        rclpy.try_shutdown()


def _request(kind: Any, fields: list[str]) -> Any:
    request = kind.Request()
    types = kind.Request.get_fields_and_field_types()
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise ValueError(f"'{field}' has no '=': give NAME=VALUE")
        if key not in types:
            raise ValueError(f"there is no field '{key}'; {did_you_mean(key, types)}")
        given = value if types[key] == "string" else yaml.safe_load(value)
        setattr(request, key, float(given) if types[key] == "double" else given)
    if problem := message_problem(request):
        raise ValueError(problem)
    return request


def _call(kind: Any, name: str, namespace: str, request: Any) -> int:
    node = rclpy.create_node("call", namespace=namespace)
    client: Any = node.create_client(kind, name)
    if not client.wait_for_service(5):
        say_error(f"error: no node offers {node.resolve_service_name(name)}: is it running?")
        return 2
    future = client.call_async(request)
    rclpy.spin_until_future_complete(node, future, timeout_sec=60)
    answer = future.result()
    if answer is None:
        say_error(f"error: {name} did not answer within 60 s")
        return 2
    say(answer.message)
    return 0 if answer.success else 1
