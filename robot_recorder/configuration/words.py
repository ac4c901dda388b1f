"""What is said to an operator and shown on the console, in each language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from robot_recorder.configuration.yaml_source import YamlMap, did_you_mean
from robot_recorder.model.text import visible

LANGUAGES = ("en", "zh", "de")

EVENTS: dict[str, tuple[str, ...]] = {
    "ready": (), "countdown": ("seconds",), "start": ("number",), "stop": (),
    "accept": (), "review": ("why", "stream"), "reject": ("why", "stream"), "unknown": (),
    "success": ("counted", "target"), "failure": ("cause",), "discard": (), "restore": (),
    "undone": (), "lost": ("stream",), "back": ("stream",), "disk": ("left",),
    "target": ("target",), "pause": (), "resume": (), "refused": ("why",), "recorder_lost": (),
    "recorder_back": (), "aborted": ("why",), "reset": ("seconds",), "begin": ("task", "target"),
    "end": ("counted",),
}  # fmt: skip
"""What can happen, and the values that come with it, as in Said.msg."""

_SECTIONS = ("say", "check", "page")
_OF_CHECKS = ("stream",)
_PLACE = re.compile(r"\{([a-z_]+)\}")
_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_IDS = ("stream", "cause", "task")  # values that are ids: heard better without underscores
_NOTHING = ("", "0")
_UNKNOWN = "?"
_ENDS = ".!?。！？"


@dataclass(frozen=True)
class Words:
    """All texts of a language.

    A template has places such as ``{stream}``. A part in square brackets is left out if one of its
    values is empty or "0": ``Success[, {counted} of {target}].``

    Attributes:
        language: one of ``LANGUAGES``.
        say: templates by event.
        check: phrases by the id of a check; they may have the place ``{stream}``.
        page: texts of the console's pages, by key.
    """

    language: str
    say: Mapping[str, str] = field(hash=False)
    check: Mapping[str, str] = field(hash=False)
    page: Mapping[str, str] = field(hash=False)

    def sentence(self, event: str, values: Mapping[str, str]) -> str:
        """Return what is said when something happens; values that are not given are said as "?".

        Args:
            event: one of ``EVENTS``.
            values: what comes with it; ``why`` is the id of a check, or a sentence.

        Raises:
            KeyError: there is no such event.
        """
        filled = {name: values.get(name, _UNKNOWN) for name in EVENTS[event]}
        filled |= {name: filled[name].replace("_", " ") for name in _IDS if name in filled}
        if "why" in filled:
            phrase = self.check.get(filled["why"])
            why = filled["why"] if phrase is None else fill(phrase, filled)
            filled["why"] = why.strip().rstrip(_ENDS)  # the template ends the sentence
        text = fill(self.say[event], filled)
        return visible(text[:1].upper() + text[1:])


def fill(template: str, values: Mapping[str, str]) -> str:
    """Return a template with its places filled in; braces and brackets of values stay as they are."""

    def whole(found: re.Match[str]) -> str:
        names = _PLACE.findall(found[1])
        return "" if any(values.get(name, "") in _NOTHING for name in names) else found[1]

    return _PLACE.sub(lambda found: values.get(found[1], _UNKNOWN), _OPTIONAL.sub(whole, template))


def places(template: str) -> list[str]:
    """Return the names of a template's places, sorted."""
    return sorted(set(_PLACE.findall(template)))


def parse_words(text: str, source: str, language: str) -> Words:
    """Parse the words of a language.

    Args:
        text: the YAML.
        source: its file name, for error messages.
        language: one of ``LANGUAGES``.

    Raises:
        ConfigError: they are invalid; the message names file, line, key and the fix.
    """
    top = YamlMap.parse(text, source)
    top.allow(_SECTIONS)
    say, check, page = (top.map(name) for name in _SECTIONS)
    say.allow(EVENTS)
    for event, names in EVENTS.items():
        _check_places(say, event, names)
    for id in check:
        _check_places(check, id, _OF_CHECKS)
    return Words(language, *({key: part.text(key) for key in part} for part in (say, check, page)))


def _check_places(section: YamlMap, key: str, names: Iterable[str]) -> None:
    """Refuse places that nothing fills."""
    template, names = section.text(key), list(names)
    for name in places(template):
        if name not in names:
            hint = did_you_mean(name, names) if names else "it has no values"
            section.fail_at(key, f"nothing fills {{{name}}}; {hint}")
    left = _OPTIONAL.sub("", _PLACE.sub("", template))
    if set(left) & set("{}[]"):
        section.fail_at(key, "has a brace or a bracket without its other half")
