"""Find the installed message types: their classes, definitions and hashes.

Source of the format of definitions: rosbag2_cpp, local_message_definition_source.cpp (dependencies depth
first, sorted within a level, each once, after a line of 80 ``=``).
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

from robot_recorder.messages.definition import (
    PRIMITIVES,
    TEXTS,
    Field,
    MessageTypes,
    definition_text,
    field_of,
    short_name,
)
from robot_recorder.model.errors import ConfigError

_FIELD = re.compile(r"^\s*([a-zA-Z][a-zA-Z0-9_/]*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[a-zA-Z]")


_GENERATOR = "rosidl_generator_py.generate_py_impl"


def load_without_generator() -> None:
    """Import what loads messages without the generator of messages, which it brings along.

    The generator's parser of IDL (lark) would take a tenth of a node's start. rosidl_generator_py is made to do
    without it, as its ``__init__.py`` says. Call it before the first node is created.
    """
    if "rosidl_generator_py" not in sys.modules:
        sys.modules[_GENERATOR] = None  # type: ignore[assignment]  # importing it fails
        try:
            importlib.import_module("rosidl_generator_py")
        finally:
            sys.modules.pop(_GENERATOR, None)


def message_class(type_name: str) -> Any:
    """Return the Python class of a message type.

    Raises:
        ConfigError: it is not installed; the message says how to install it.
    """
    package, _, name = type_name.partition("/msg/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"message type {type_name} is not installed: apt install "
            f"ros-$ROS_DISTRO-{package.replace('_', '-')}, or build and source the workspace it is in"
        ) from error
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"package {package} has no message {name}: correct the type") from error


@cache
def message_definition(type_name: str) -> str:
    """Return the ros2msg definition of a type and its dependencies; empty: not installed."""
    seen: set[str] = set()

    def append(name: str) -> str | None:
        path = _interface_file(name, ".msg")
        if path is None:
            return None
        text = path.read_text(encoding="utf-8")
        parts = [text]
        for dependency in sorted(_dependencies(text, name.split("/")[0])):
            if dependency in seen:
                continue
            seen.add(dependency)
            inner = append(dependency)
            if inner is None:
                return None
            parts.append(f"\n{'=' * 80}\nMSG: {dependency}\n{inner}")
        return "".join(parts)

    return append(type_name) or ""


def readable_definition(type_name: str) -> str:
    """Return a definition that ``parse_definition`` reads, also of types that are written in IDL.

    Raises:
        ConfigError: the type is not installed.
    """
    text = message_definition(type_name)
    if text:
        return text
    types: dict[str, tuple[Field, ...]] = {}
    left = [type_name]
    while left:
        name = left.pop()
        fields = message_class(name).get_fields_and_field_types()
        types[short_name(name)] = tuple(field_of(n, kind) for n, kind in fields.items())
        inner = {f.type for f in types[short_name(name)]} - set(types) - PRIMITIVES.keys()
        left += [kind.replace("/", "/msg/") for kind in inner.difference(TEXTS)]
    return definition_text(type_name, MessageTypes(types))


@cache
def type_hash(type_name: str) -> str:
    """Return the RIHS01 hash of an installed type; empty: unknown (Humble has none)."""
    path = _interface_file(type_name, ".json")
    if path is None:
        return ""
    hashes = json.loads(path.read_text(encoding="utf-8")).get("type_hashes", [])
    return next((h["hash_string"] for h in hashes if h["type_name"] == type_name), "")


def _dependencies(text: str, package: str) -> set[str]:
    found = set()
    for line in text.splitlines():
        match = _FIELD.match(line.split("#", 1)[0])
        if match and match.group(1) not in PRIMITIVES and match.group(1) not in TEXTS:
            name = match.group(1)
            found.add(name if "/" in name else f"{package}/{name}")
    return found


def _interface_file(type_name: str, suffix: str) -> Path | None:
    from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

    package, _, name = type_name.rpartition("/")
    try:
        share = Path(get_package_share_directory(package.split("/")[0]))
    except PackageNotFoundError:
        return None
    path = share / "msg" / f"{name}{suffix}"
    return path if path.exists() else None
