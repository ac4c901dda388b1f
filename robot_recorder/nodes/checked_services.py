"""Check everything that enters a node by service or topic, and answer every call."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.serialization import serialize_message

from robot_recorder.model.text import TEXT_LIMITS, text_problem, visible
from robot_recorder.nodes.log import NodeLog

_TEXT, _NUMBERS = "string", ("double", "float")
_MOST_CHARS = 1000  # of an exception's text in an answer


def message_problem(message: Any) -> str:
    """Return why a request or message is rejected; empty: it is valid.

    Texts must keep the limit of their field's name, numbers must be finite.
    """
    for field, kind in message.get_fields_and_field_types().items():
        value, problem = getattr(message, field), ""
        if kind == _TEXT:
            problem = text_problem(field, value)
        elif kind in _NUMBERS and not math.isfinite(value):
            problem = f"{field} is {value}: give a finite number"
        if problem:
            return problem
    return ""


def make_visible(message: Any) -> Any:
    """Escape control characters and line breaks in all texts of a message, nested ones, too."""
    for field, kind in message.get_fields_and_field_types().items():
        value = getattr(message, field)
        if kind == _TEXT:
            setattr(message, field, visible(value))
        elif kind == f"sequence<{_TEXT}>":
            setattr(message, field, [visible(text) for text in value])
        elif kind.startswith("sequence<") and "/" in kind:
            for one in value:
                make_visible(one)
    return message


def serve(
    node: Node, kind: Any, name: str, callback: Callable[[Any, Any], Any], **options: Any
) -> Any:
    """Create a service that checks its requests and answers each one, even if the callback raises.

    Args:
        node: the node.
        kind: the service type; its response must have ``success`` and ``message``.
        name: name of the service.
        callback: takes request and response and returns the response; may be a coroutine function.
        options: further arguments of ``Node.create_service``.

    Raises:
        ValueError: a text of the request has no limit, or the response lacks a field.
    """
    texts = [f for f, k in kind.Request.get_fields_and_field_types().items() if k == _TEXT]
    unlimited = [field for field in texts if field not in TEXT_LIMITS]
    if unlimited:
        raise ValueError(f"{name}: {', '.join(unlimited)}: add a limit to model/text.py")
    if not {"success", "message"} <= kind.Response.get_fields_and_field_types().keys():
        raise ValueError(f"{name}: its response needs success and message")

    async def answered(request: Any, response: Any) -> Any:
        try:
            problem = message_problem(request)
            if problem:
                NodeLog(node).warning(f"{name} refused: {problem}")
                return kind.Response(success=False, message=problem)
            answer = callback(request, response)
            if inspect.isawaitable(answer):
                answer = await answer
            if not isinstance(answer, kind.Response):
                raise TypeError(f"the callback returned {type(answer).__name__}, not a response")
            serialize_message(make_visible(answer))  # fails here rather than after the return
            return answer
        except Exception as error:
            NodeLog(node).failure(f"{name} failed")
            what = visible(f"{type(error).__name__}: {error}"[:_MOST_CHARS])
            return kind.Response(
                success=False, message=f"{name} failed: {what}; see the node's log"
            )

    return node.create_service(kind, name, answered, **options)
