"""The parser of command lines: errors of one line, near names for mistyped ones, examples in the help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.terminal import say_error


class HelpFormatter(argparse.HelpFormatter):
    """Wraps paragraphs, and leaves lists such as ``examples:`` as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = []
        for paragraph in text.split("\n\n"):
            is_list = paragraph.partition("\n")[0].endswith(":")
            paragraphs.append(
                paragraph if is_list else super()._fill_text(paragraph, width, indent)
            )
        return "\n\n".join(paragraphs)


class Parser(argparse.ArgumentParser):
    """Refuses a wrong command line in one sentence, with the nearest name of what was mistyped."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": HelpFormatter, **options})

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where the help is, and exit."""
        say_error(f"error: {message}")
        say_error(f"{self.prog} --help explains it")
        raise SystemExit(ExitCode.FAILED)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse like argparse, and refuse what is unknown here, where its neighbours are known."""
        if args is not None:
            self._refuse_unknown_options(args)
        found, unknown = super().parse_known_args(args, namespace)
        for word in unknown:
            self._refuse_option(word) if word.startswith("-") else self.error(
                f"unexpected argument '{word}'"
            )
        return found, unknown

    def _refuse_unknown_options(self, words: Sequence[str]) -> None:
        """Refuse a mistyped option before argparse reports what is missing because of it."""
        known = self._option_string_actions
        for word in words:
            option = word.partition("=")[0]
            if word == "--" or (self._subparsers and not word.startswith("-")):
                return  # what follows is not this parser's
            if not option.startswith("--"):
                continue
            near = [name for name in known if name.startswith(option)]
            if not near:
                self._refuse_option(word)
            if any(known[name].nargs == argparse.REMAINDER for name in near):
                return

    def _refuse_option(self, word: str) -> NoReturn:
        from robot_recorder.configuration.yaml_source import did_you_mean

        option = word.partition("=")[0]
        known = [name for name in self._option_string_actions if name.startswith("--")]
        self.error(f"unknown option '{option}'; {did_you_mean(option, known)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse an unknown command, action or choice with the nearest known one."""
        if action.choices is None or value in action.choices:
            return
        from robot_recorder.configuration.yaml_source import did_you_mean

        commands = isinstance(action, argparse._SubParsersAction)
        what = (
            f"unknown {str(action.metavar).lower()} '{value}'" if commands else f"unknown '{value}'"
        )
        hint = did_you_mean(str(value), map(str, action.choices))
        raise argparse.ArgumentError(None if commands else action, f"{what}; {hint}")
