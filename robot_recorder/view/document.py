"""Summarises an episode in one page of text beside its curves."""

from __future__ import annotations

from collections.abc import Iterable

import rerun as rr

from robot_recorder.alignment.certificate import Certificate
from robot_recorder.content.contents import Contents
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.check_result import Level
from robot_recorder.quality.verdict import QualityReport, Verdict
from robot_recorder.view.labels import describe, utc
from robot_recorder.view.log import RerunLog

PATH = "episode"


def log_document(
    log: RerunLog,
    contents: Contents,
    certificate: Certificate | None,
    notes: Iterable[str],
    constant: Iterable[str] = (),
) -> None:
    """Log the page.

    Args:
        log: the recording.
        contents: of the episode.
        certificate: the episode's own, or one made now.
        notes: what is not shown, and why.
        constant: values that never change, one sentence each.
    """
    text = document(contents, certificate, notes, constant)
    log.once(PATH, rr.TextDocument(text, media_type=rr.MediaType.MARKDOWN))


def document(
    contents: Contents,
    certificate: Certificate | None,
    notes: Iterable[str],
    constant: Iterable[str] = (),
) -> str:
    """Return the page as Markdown."""
    parts = [
        _head(contents),
        _quality(contents.episode.quality),
        _streams(contents, certificate),
        _history(contents),
        _list("Not shown, or only in part", notes),
        _list("Not drawn, because they never change", constant),
    ]
    return "\n\n".join(filter(None, parts))


def _head(contents: Contents) -> str:
    episode, labels, facts = contents.episode, contents.episode.labels, contents.episode.facts
    task = labels.instruction or labels.task or facts.get("task", "")
    lines = [f"# {_plain(task)}"] if task else [f"# {_plain(episode.id)}"]
    if episode.events:
        lines.append(f"**{labels.outcome_text.upper()}**")
    rows = [
        ("task", labels.task or facts.get("task", "")),
        ("robot", facts.get("robot", "")),
        ("operator", labels.operator_name),
        ("start", utc(contents.start_ns)),
        ("length", f"{episode.duration_s:.1f} s" + (f", and {episode.pre_roll_s:.1f} s before its start" if episode.pre_roll_s else "")),
    ]  # fmt: skip
    return "\n\n".join([*lines, _table(("episode", episode.id), [row for row in rows if row[1]])])


def _quality(report: QualityReport) -> str:
    if report.verdict is Verdict.UNKNOWN:
        return "## Recording: not checked"
    findings = [
        f"**{result.level.name.lower()}** {f'{result.stream}: ' if result.stream else ''}{_plain(result.sentence)}"
        for result in report.findings
    ]
    findings += [f"**not checked** {_plain(broken)}" for broken in report.broken]
    passed = sum(r.level is Level.PASS for r in report.results)
    lines = [f"## Recording: {report.verdict.text}", *(f"- {finding}" for finding in findings)]
    return "\n".join([*lines, f"- {passed} checks passed"])


def _streams(contents: Contents, certificate: Certificate | None) -> str:
    """Return one row per topic, with its figures from the sync certificate."""
    streams = certificate.streams if certificate else {}
    rows, remarks = [], []
    for topic in contents.topics:
        if topic.sort is Sort.OTHER or topic.unreadable:
            continue
        found = streams.get(topic.stream)
        cells = [topic.stream, topic.sort.value, str(topic.count), "", "", ""]
        if found is not None:
            good = found.fresh + found.interpolated
            cells[3] = "" if found.measured_hz is None else f"{found.measured_hz:.1f}"
            cells[4] = "" if found.skew_p95_ms is None else f"{found.skew_p95_ms:.1f}"
            cells[5] = f"{good / found.frames:.1%}" if found.frames else ""
            remarks += [f"- {topic.stream}: {_plain(finding)}" for finding in found.findings()]
        rows.append(cells)
    summary = [_plain(certificate.summary)] if certificate else []
    head = ("stream", "shows", "messages", "Hz", "skew p95, ms", "in frames")
    return "\n\n".join(["## Streams", *summary, _table(head, rows), "\n".join(remarks)]).rstrip()


def _history(contents: Contents) -> str:
    return _list(
        "Labels",
        [
            f"{describe(e)}, by {e.by or 'unknown'}, {utc(e.stamp_ns)}"
            for e in contents.episode.events
        ],
    )


def _list(title: str, items: Iterable[str]) -> str:
    lines = [f"- {_plain(item)}" for item in items]
    return "\n".join([f"## {title}", *lines]) if lines else ""


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = [_plain(cell) for cell in head]
    lines = [heads, ["---"] * len(heads), *([_plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Escape a text so that it is not read as Markdown."""
    for sign in "\\`*_[]<>#|":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
