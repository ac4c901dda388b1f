"""Runs the console: reads its parameters, connects it to ROS, and serves until a signal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from robot_recorder.cli.terminal import say, say_error
from robot_recorder.configuration.find import load_words
from robot_recorder.configuration.users import load_users
from robot_recorder.console.agent_line import AgentLine
from robot_recorder.console.app import application
from robot_recorder.console.holder import AuditLog, Holder
from robot_recorder.console.link import RobotLink
from robot_recorder.console.live import LivePages
from robot_recorder.console.previews import Previews
from robot_recorder.console.requests import Desk
from robot_recorder.console.settings import ConsoleSettings
from robot_recorder.console.teleop_page import HandsFeed
from robot_recorder.model.errors import RecorderError
from robot_recorder.nodes.runtime import (
    episodes_root,
    parameter,
    profile_parameter,
    robot_name,
    tasks_parameter,
)
from robot_recorder.web.access import Access, load_token
from robot_recorder.web.serve import serve_pages
from robot_recorder.web.workers import Workers

_MOST_MESSAGE_BYTES = 8000  # of a page; uvicorn closes the websocket of a longer one


def settings_of(node: Node) -> ConsoleSettings:
    """Declare and read the parameters.

    Raises:
        ConfigError: one is invalid, or others could reach the console without logging in.
    """

    def file(name: str, text: str) -> Path | None:
        given = parameter(node, name, "", text)
        return Path(given).expanduser() if given else None

    hosts = parameter(
        node, "allowed_hosts", "", "further names of this machine, separated by commas"
    )
    settings = ConsoleSettings(
        root=episodes_root(node),
        host=parameter(node, "host", "127.0.0.1", "address to listen on"),
        port=parameter(node, "port", 8080, "port; 0: any free one"),
        users=file("users", "users file; made by robot-recorder console user"),
        token=file("token", "file with a token that makes an operator"),
        certificate=file("certificate", "PEM file, for HTTPS"),
        key=file("key", "PEM file of its key"),
        allowed_hosts=tuple(filter(None, (name.strip() for name in hosts.split(",")))),
        language=parameter(node, "language", "en", "that pages begin with: en, zh or de"),
        buttons=parameter(
            node, "buttons", "keyboard", "key bindings: a file, or a name in config/buttons"
        ),
        profile=node.get_parameter("profile").value,
        namespace=node.get_namespace().strip("/"),
    )
    load_words(settings.language)
    settings.check()
    return settings


def serve() -> int:
    """Run the console until SIGINT or SIGTERM; return the exit code: 0, or 2: bad configuration."""
    # Signals end the server, which ends the rest in order.
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    try:
        return asyncio.run(_serve())
    except (RecorderError, OSError) as error:
        say_error(f"error: {error}")
        return 2
    finally:
        rclpy.try_shutdown()


async def _serve() -> int:
    node = rclpy.create_node("console")
    profile, tasks = profile_parameter(node), tasks_parameter(node)
    settings = settings_of(node)
    robot = robot_name(node, profile)
    users = None if settings.users is None else load_users(settings.users)
    token = "" if settings.token is None else load_token(settings.token)
    live = LivePages(Holder(), AgentLine(settings.root))
    changed, said, came = _into(asyncio.get_running_loop(), live.changed, live.say, live.picture)
    hands = HandsFeed(node, changed)
    link = RobotLink(node, profile, tasks, changed, said)
    pictures = Previews(profile, node.get_namespace(), came, changed)
    workers = Workers()
    live.connect(link, pictures, hands)
    audit = AuditLog(settings.root, robot)
    desk = Desk(settings, Access(users, token), live.holder, live, link, audit, workers, robot)
    try:
        await serve_pages(
            application(desk), settings, "console", say, ws_max_size=_MOST_MESSAGE_BYTES
        )
    finally:
        workers.close()
        pictures.close()
        link.close()
    return 0


def _into(loop: asyncio.AbstractEventLoop, *callbacks: Callable[..., None]) -> list[Any]:
    """Return functions that call these in the server's loop, from any thread."""

    def passed_on(callback: Callable[..., None]) -> Callable[..., None]:
        def call(*values: Any) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(callback, *values)

        return call

    return [passed_on(callback) for callback in callbacks]
