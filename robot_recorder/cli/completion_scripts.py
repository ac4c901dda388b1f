"""Completion scripts for bash, zsh and fish.

Each script finds the command in the words so far, completes the value of an option that stands right
before, and otherwise options, actions or files.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence

from robot_recorder.cli.completion_words import CommandWords, Option, Value

_BASH = """\
# bash completion of robot-recorder, printed by: robot-recorder completion bash
_robot_recorder() {{
    local command="" word current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}"
    if [[ $current == "=" ]]; then
        current=""
    elif [[ $previous == "=" ]]; then
        previous="${{COMP_WORDS[COMP_CWORD-2]}}"
    fi
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "${{command:+$command }}$word" in
            {names}) command="${{command:+$command }}$word" ;;
        esac
    done
    local words="" files=""
    if [[ $current == -* ]]; then
        case "$command" in
            {options}
        esac
    else
        case "$command $previous" in
            {values}
            *)
                case "$command" in
                    {arguments}
                esac
                ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    [[ $files ]] || compopt +o default 2>/dev/null
}}
complete -o default -F _robot_recorder robot-recorder
"""

_ZSH = """\
#compdef robot-recorder
# zsh completion of robot-recorder, printed by: robot-recorder completion zsh
_robot_recorder() {{
    local command="" word previous="${{words[CURRENT-1]}}"
    local -a found
    for word in "${{(@)words[2,CURRENT-1]}}"; do
        case "${{command:+$command }}$word" in
            ({names}) command="${{command:+$command }}$word" ;;
        esac
    done
    if [[ $PREFIX == -* ]]; then
        case "$command" in
            {options}
        esac
        _describe -o option found
        return
    fi
    case "$command $previous" in
        {values}
    esac
    case "$command" in
        {arguments}
    esac
}}
if [[ "${{funcstack[1]}}" == _robot-recorder ]]; then
    _robot_recorder "$@"
else
    compdef _robot_recorder robot-recorder
fi
"""

_FISH = """\
# fish completion of robot-recorder, printed by: robot-recorder completion fish
function __robot_recorder_is
    set -l command ''
    for word in (commandline -opc)[2..-1]
        set -l longer (string trim -- "$command $word")
        if contains -- "$longer" {names}
            set command $longer
        end
    end
    test "$command" = "$argv"
end
{lines}
"""


def bash_script(commands: Sequence[CommandWords]) -> str:
    """Return the script for bash, which shows no descriptions."""

    def assign(value: Value) -> str:
        return (
            f'words="{" ".join(value.words)}"'
            if value.words
            else f"files={int(value.is_path) or ''}"
        )

    return _BASH.format(
        names=_patterns(_names(commands)),
        values=_lines(12, (
            f"{_patterns(names)}) {assign(value)} ;;" for value, names in _by_value(commands).items()
        )),
        options=_lines(12, (
            f'{shlex.quote(c.name)}) words="{" ".join(o.name for o in c.options)}" ;;' for c in commands
        )),
        arguments=_lines(20, (
            f"{shlex.quote(c.name)}) {assign(Value(tuple(c.actions)) if c.actions else c.argument)} ;;"
            for c in commands
        )),
    )  # fmt: skip


def zsh_script(commands: Sequence[CommandWords]) -> str:
    """Return the script for zsh, with descriptions of commands and options."""

    def complete(value: Value) -> str:
        if value.words:
            return f"compadd -- {shlex.join(value.words)}"
        return "_files" if value.is_path else "return"

    def described(pairs: Iterable[tuple[str, str]]) -> str:
        return f"found=({' '.join(shlex.quote(f'{name}:{help}') for name, help in pairs)})"

    return _ZSH.format(
        names=_patterns(_names(commands)),
        values=_lines(8, (
            f"({_patterns(names)}) {complete(value)}; return ;;"
            for value, names in _by_value(commands).items()
        )),
        options=_lines(12, (
            f"({shlex.quote(c.name)}) {described((o.name, o.help) for o in c.options)} ;;" for c in commands
        )),
        arguments=_lines(8, (
            f"({shlex.quote(c.name)}) {described(c.actions.items())}; _describe command found ;;"
            if c.actions else f"({shlex.quote(c.name)}) {complete(c.argument)} ;;"
            for c in commands
        )),
    )  # fmt: skip


def fish_script(commands: Sequence[CommandWords]) -> str:
    """Return the script for fish, with descriptions of commands and options."""
    lines = []
    for command in commands:
        start = (
            f"complete -c robot-recorder -n {_fish(f'__robot_recorder_is {command.name}'.strip())}"
        )
        for name, help in command.actions.items():
            lines.append(f"{start} -f -a {_fish(name)} -d {_fish(help)}")
        if command.argument.words:
            lines.append(f"{start} -f -a {_fish(' '.join(command.argument.words))}")
        elif not command.actions and not command.argument.is_path:
            lines.append(f"{start} -f")
        lines += [f"{start} {_fish_option(option)}" for option in command.options]
    names = " ".join(_fish(name) for name in _names(commands))
    return _FISH.format(names=names, lines="\n".join(lines))


def _fish_option(option: Option) -> str:
    words = f"-l {option.name.removeprefix('--')} -d {_fish(option.help)}"
    if option.value is None:
        return words
    if option.value.words:
        return f"{words} -x -a {_fish(' '.join(option.value.words))}"
    return f"{words} -r -F" if option.value.is_path else f"{words} -x"


def _fish(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _names(commands: Iterable[CommandWords]) -> list[str]:
    return [command.name for command in commands if command.name]


def _patterns(words: Iterable[str]) -> str:
    return "|".join(map(shlex.quote, words))


def _lines(indent: int, lines: Iterable[str]) -> str:
    return f"\n{' ' * indent}".join(lines)


def _by_value(commands: Iterable[CommandWords]) -> dict[Value, list[str]]:
    """Return, for each value, ``COMMAND --option`` of all the options that take it."""
    found: dict[Value, list[str]] = {}
    for command in commands:
        for option in command.options:
            if option.value is not None:
                found.setdefault(option.value, []).append(f"{command.name} {option.name}")
    return found


SCRIPTS: dict[str, Callable[[Sequence[CommandWords]], str]] = {
    "bash": bash_script,
    "zsh": zsh_script,
    "fish": fish_script,
}
