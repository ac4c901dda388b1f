"""YAML with line numbers, so that configuration errors name the line and the most similar key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import yaml
from yaml.constructor import SafeConstructor

from robot_recorder.model.errors import ConfigError
from robot_recorder.model.plain_data import LOADER, MOST_CONFIGURATION_BYTES, check_yaml

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def is_name(word: str) -> bool:
    """Tell whether a word has only letters, digits and _ after a letter, as file names need."""
    return bool(_NAME.fullmatch(word))


def nearest(word: str, known: Iterable[str], count: int = 3, least: float = 0.6) -> list[str]:
    """Return the known words most similar to ``word``, best first.

    Args:
        word: to compare.
        known: words to choose from.
        count: most words to return.
        least: least similarity, 0 to 1; 1: only the word itself.
    """
    import difflib  # for errors only

    return difflib.get_close_matches(word, list(known), n=count, cutoff=least)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a clause with the most similar known words, or all of them if none is similar."""
    known = list(known)
    near = " or ".join(f"'{name}'" for name in nearest(word, known))
    return f"did you mean {near}?" if near else f"known: {', '.join(sorted(known))}"


def _composed(text: str) -> Any:
    """Return the root node of a document, whose nodes know their lines; None: it is empty.

    Raises:
        yaml.YAMLError: it is not YAML.
    """
    try:
        return yaml.compose(text, Loader=LOADER)
    except yaml.YAMLError:
        # Python's parser names the last line of an unfinished text, libyaml the one after it.
        return yaml.compose(text, Loader=yaml.SafeLoader)


class YamlMap:
    """A YAML mapping with its position. Every getter raises ConfigError with file:line.

    Attributes:
        where: path of keys to this mapping; empty: the top level.
    """

    def __init__(self, source: str, node: yaml.MappingNode, where: str = "") -> None:
        self._source = source
        self._node = node
        self.where = where
        self._values: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in self._values:
                self.fail(f"'{name}' appears twice; remove one", key)
            self._values[name] = value

    @classmethod
    def parse(cls, text: str, source: str) -> YamlMap:
        """Parse a document whose top level is a mapping.

        Raises:
            ConfigError: the text is not valid YAML, or not a mapping.
        """
        try:
            check_yaml(text, MOST_CONFIGURATION_BYTES)
            node = _composed(text)
        except (ValueError, RecursionError) as error:
            why = "it is nested too deep" if isinstance(error, RecursionError) else error
            raise ConfigError(f"{source}: cannot be read: {why}") from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            problem = getattr(error, "problem", None) or error
            raise ConfigError(f"{source}{line}: not valid YAML: {problem}") from error
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{source}: expected a mapping of keys to values at the top level")
        return cls(source, node)

    def fail(self, message: str, node: yaml.Node | None = None) -> NoReturn:
        """Raise ConfigError with the line of this mapping, or of ``node``."""
        line = (node or self._node).start_mark.line + 1
        where = f"{self.where}: " if self.where else ""
        raise ConfigError(f"{self._source}:{line}: {where}{message}")

    @property
    def place(self) -> str:
        """Return file and line of this mapping."""
        return f"{self._source}:{self._node.start_mark.line + 1}"

    def allow(self, known: Iterable[str]) -> None:
        """Refuse keys that are not in ``known``."""
        known = list(known)
        for name, node in self._values.items():
            if name not in known:
                self.fail(f"unknown key '{name}'; {did_you_mean(name, known)}", node)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def items(self) -> Iterator[tuple[str, YamlMap]]:
        """Yield the entries, each of which must be a mapping."""
        for name in self._values:
            yield name, self.map(name)

    def value(self, name: str, default: Any = None) -> Any:
        """Return the plain Python value of a key."""
        if name not in self._values:
            return default
        try:
            return SafeConstructor().construct_object(self._values[name], deep=True)
        except yaml.YAMLError as error:
            self.fail(f"'{name}' cannot be read: {error}", self._values[name])

    def fail_at(self, name: str, message: str) -> NoReturn:
        """Raise ConfigError with the line of a key's value."""
        self.fail(f"'{name}': {message}", self._values.get(name))

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string; the key is required if there is no default."""
        value = self.value(name, default)
        if value is None:
            self.fail(f"'{name}' is missing; add it")
        if not isinstance(value, str):
            self.fail_at(name, f"expected text, got {value!r}; put it in quotes")
        return value

    def number(
        self,
        name: str,
        default: float | None = None,
        *,
        above: float | None = None,
        most: float | None = None,
    ) -> float | None:
        """Return a finite number, greater than ``above`` and at most ``most`` where given."""
        value = self.value(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.fail_at(name, f"expected a number, got {value!r}")
        if value != value or value in (float("inf"), float("-inf")):
            self.fail_at(name, f"expected a finite number, got {value!r}")
        if above is not None and value <= above:
            self.fail_at(name, f"must be greater than {above:g}, got {value:g}")
        if most is not None and value > most:
            self.fail_at(name, f"must be at most {most:g}, got {value:g}")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """Return a boolean."""
        value = self.value(name, default)
        if not isinstance(value, bool):
            self.fail_at(name, f"expected true or false, got {value!r}")
        return value

    def choice(self, name: str, known: Iterable[str], default: str | None = None) -> str:
        """Return a word that must be one of ``known``."""
        value = self.text(name, default)
        known = list(known)
        if value not in known:
            self.fail_at(name, f"'{value}' is not a known value; {did_you_mean(value, known)}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of strings; empty if the key is missing."""
        value = self.value(name, [])
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            self.fail_at(name, f"expected a list of texts, got {value!r}")
        return tuple(value)

    def map(self, name: str) -> YamlMap:
        """Return a nested mapping."""
        node = self._values.get(name)
        if node is None:
            self.fail(f"'{name}' is missing; add it")
        if not isinstance(node, yaml.MappingNode):
            self.fail_at(name, "expected a mapping of keys to values")
        return YamlMap(self._source, node, f"{self.where}.{name}" if self.where else name)
