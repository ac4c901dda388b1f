"""The report's head: what an inspector wants to know first."""

from __future__ import annotations

from collections.abc import Sequence

from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.facts import incompleteness
from robot_recorder.model.labels import Labels
from robot_recorder.model.text import plural
from robot_recorder.quality.verdict import QualityReport, Verdict
from robot_recorder.report.html_text import (
    UNKNOWN,
    Html,
    element,
    html,
    moments,
    number,
    prose,
    size,
)


def head(
    id: str,
    labels: Labels,
    quality: QualityReport,
    notes: Sequence[str],
    facts: Sequence[tuple[str, str]],
) -> Html:
    """Return the episode's name, its outcome and verdict, and its key figures.

    Args:
        id: of the episode.
        labels: what was labelled.
        quality: its quality report.
        notes: sentences from ``notes_of``.
        facts: names and values from ``facts_of``.
    """
    unchecked = quality.verdict is Verdict.UNKNOWN
    verdict = "not checked" if unchecked else quality.verdict.text
    sentence = prose("The recording was not checked; run `robot-recorder check`.")
    if not unchecked:
        sentence = _sentence(quality)
    badges = element(
        "div",
        _badge("task", labels.outcome_text, labels.outcome.text),
        _badge("recording", verdict, verdict.replace(" ", "-")),
        class_="badges",
    )
    return element(
        "header",
        element("div", element("h1", id), badges, class_="title"),
        element("p", _task(labels), class_="task"),
        element("p", sentence, class_="sentence"),
        [element("p", note, class_="note") for note in notes],
        element(
            "dl",
            [element("div", element("dt", name), element("dd", value)) for name, value in facts],
        ),
    )


def _badge(about: str, text: str, kind: str) -> Html:
    return element("span", element("small", about), " ", text, class_=f"badge {kind}")


def _task(labels: Labels) -> list[object]:
    name = element("b", labels.task) if labels.task else "no task"
    return [name, f": {labels.instruction}" if labels.instruction else ""]


def _sentence(quality: QualityReport) -> Html:
    """Return the sentence without the verdict, which is shown next to it as a badge."""
    text = quality.sentence.removeprefix(f"{quality.verdict.text}: ")
    return html(["Recording: ", element("a", text, href="#quality") if quality.findings else text])


def facts_of(episode: Episode, labels: Labels) -> list[tuple[str, str]]:
    """Return names and values of key figures, some of which may be unknown."""
    facts = episode.facts
    return [
        ("robot", facts.get("robot") or UNKNOWN),
        ("operator", labels.operator_name or facts.get("operator") or UNKNOWN),
        ("started", moments(episode.start_ns)),
        ("duration", number(episode.duration_s, ".2f", "s")),
        ("pre-roll", number(episode.pre_roll_s, ".2f", "s") if episode.pre_roll_s else "none"),
        ("messages", f"{int(episode.metadata['message_count']):,}"),
        ("messages lost", _lost(episode)),
        ("size", size(episode.size_bytes)),
    ]


def _lost(episode: Episode) -> str:
    count, is_all = episode.lost
    if is_all:
        return f"{count:,}"
    return f"at least {count:,}" if count else UNKNOWN


def notes_of(episode: Episode) -> list[str]:
    """Return what is unusual about the recording as a whole, one sentence each."""
    reason, _ = incompleteness(episode.facts)
    notes = [f"It {reason}."] if reason else []
    if episode.facts.get("missing"):
        notes.append(f"Missing: {episode.facts['missing']}")
    if episode.facts.get("forced") == "true":
        notes.append("It was started by force although a stream or the disk had a problem.")
    jumps = len(episode.clock_jumps)
    if jumps:
        times = plural(jumps, "time")
        notes.append(f"The robot's wall clock was set {times} meanwhile; stamps are unaffected.")
    return notes
