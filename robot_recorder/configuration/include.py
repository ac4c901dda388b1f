"""Include other profiles: a station is a robot and its devices, each with a profile of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from robot_recorder.configuration.yaml_source import YamlMap, is_name

ReadFile = Callable[[str], tuple[str, str]]
"""Returns text and file name of a profile by its name."""
Entries = dict[str, tuple[YamlMap, str]]
"""By stream name: its entry, and the prefix of all names in its file."""
_MOST_LEVELS = 5  # of files that include others


def all_entries(top: YamlMap, read: ReadFile | None, level: int = 0) -> Entries:
    """Return the streams of a profile and of those that it includes.

    Args:
        top: the profile.
        read: reads another profile; None: it may include none.
        level: how many files include this one.

    Raises:
        ConfigError: a file cannot be read, includes itself, or two streams have the same name.
    """
    found: Entries = {}
    for key, entry in top.map("include").items() if "include" in top else ():
        entry.allow(("file", "prefix"))
        if read is None or level >= _MOST_LEVELS:
            why = "files include each other" if read else "only a file can include others"
            top.fail_at("include", why)
        prefix = entry.text("prefix", "")
        if prefix and not is_name(prefix):
            entry.fail_at("prefix", f"'{prefix}' must be letters, digits and _ after a letter")
        other = YamlMap.parse(*read(entry.text("file", key)))
        for name, (inner, own) in all_entries(other, read, level + 1).items():
            if prefix + name in found:
                entry.fail(f"stream '{prefix + name}' exists already; give another 'prefix'")
            found[prefix + name] = inner, prefix + own
    for name, entry in top.map("streams").items() if "streams" in top or not found else ():
        if name in found:
            entry.fail(f"stream '{name}' is in an included file too; give that one a 'prefix'")
        found[name] = entry, ""
    return found


def merged_text(text: str, entries: Entries) -> str:
    """Return a profile as one file that includes no other; episodes keep it."""
    whole: dict[str, Any] = yaml.safe_load(text)
    included = ", ".join(whole.pop("include"))
    whole["streams"] = {name: _prefixed(*entry) for name, entry in entries.items()}
    dumped = yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=100)
    return f"# Merged from a profile that includes {included}.\n{dumped}"


def _prefixed(entry: YamlMap, prefix: str) -> dict[str, Any]:
    """Return a stream's keys, with the prefix before the streams that it names."""
    values: dict[str, Any] = {key: entry.value(key) for key in entry}
    if "of" in values:
        values["of"] = prefix + values["of"]
    if "map" in values:
        values["map"] = _with_prefixed_names(values["map"], prefix)
    return _with_prefixed_names(values, prefix)


def _with_prefixed_names(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    names = values.get("names")
    if not isinstance(names, str) or not names.startswith("same_as"):
        return values
    return {**values, "names": f"same_as {prefix}{names.removeprefix('same_as').strip()}"}
