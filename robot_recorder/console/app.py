"""The web application: routes, pages, errors as answers, and the guard around all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robot_recorder.console import commands, prepare, review, sessions, today
from robot_recorder.console.requests import Desk
from robot_recorder.console.teleop_page import page_routes
from robot_recorder.console.training_page import training_routes
from robot_recorder.web.guard import Guard
from robot_recorder.web.pages import application_of_pages

# Resolved: colcon build --symlink-install links every file, and links are not followed.
STATIC = Path(__file__).resolve().with_name("static")


def application(desk: Desk) -> Any:
    """Return the ASGI application of a console."""
    routers = [part.routes(desk) for part in (sessions, commands, prepare, review, today)]
    routers += [page_routes(STATIC), training_routes(desk, STATIC)]
    app = application_of_pages(
        "robot_recorder console", routers, STATIC, desk.access, desk.live.serve
    )
    settings = desk.settings
    return Guard(app, settings.hosts, settings.local)
