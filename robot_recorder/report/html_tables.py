"""The report's tables: labels, certificate, quality checks, streams and custom_data."""

from __future__ import annotations

import json
from collections.abc import Sequence

from robot_recorder.alignment.certificate import Certificate, StreamCertificate
from robot_recorder.content.contents import Topic
from robot_recorder.content.series import EpisodeData
from robot_recorder.model.check_result import Level, Result
from robot_recorder.model.labels import LabelEvent, LabelKind, outcome_text
from robot_recorder.model.losses import Place
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.text import plural
from robot_recorder.quality.verdict import QualityReport, Verdict
from robot_recorder.report.html_text import (
    NONE,
    UNKNOWN,
    Html,
    at_time,
    element,
    folded,
    html,
    moments,
    number,
    prose,
    table,
)

_LONG = 160  # characters that still fit a line
_FEW = 20  # messages that are too few for a rate


def labels_table(data: EpisodeData, events: Sequence[LabelEvent]) -> Html:
    """Return all labels ever given, in order; superseded ones are struck through."""
    if not events:
        return element("p", prose("It has no labels; `robot-recorder label` adds them."))
    rows, classes = [], []
    for place, event in enumerate(events):
        rows.append(
            (element("span", moments(event.stamp_ns), class_="when"), event.by or UNKNOWN, event.kind.name.lower(),
             _said(data, event), event.previous or NONE, event.note or NONE)
        )  # fmt: skip
        classes.append("" if _holds(event, events[place + 1 :]) else "gone")
    return table(("when", "who", "", "what", "was before", "note"), rows, classes=classes)


def _said(data: EpisodeData, event: LabelEvent) -> list[object]:
    if event.kind is LabelKind.TASK:
        by = f" (operator {event.operator_name})" if event.operator_name else ""
        return [element("b", event.task), f": {event.instruction}{by}"]
    if event.kind is LabelKind.OUTCOME:
        return [element("b", outcome_text(event.outcome, event.cause), class_=event.outcome.text)]
    start, end = ((at - data.contents.start_ns) / NS_PER_S for at in (event.start_ns, event.end_ns))
    when = [" at ", at_time(start)] if end <= start else [" ", at_time(start), " to ", at_time(end)]
    taken = "withdrawn: " if event.kind is LabelKind.RETRACTION else ""
    return [taken, element("b", event.name), *when]


def _holds(event: LabelEvent, later: Sequence[LabelEvent]) -> bool:
    """Return whether no later event replaced or withdrew a label."""
    if event.kind is LabelKind.ANNOTATION:
        segment = event.name, event.start_ns, event.end_ns
        return not any(
            e.kind is LabelKind.RETRACTION and (e.name, e.start_ns, e.end_ns) == segment
            for e in later
        )
    return event.kind is LabelKind.RETRACTION or not any(e.kind is event.kind for e in later)


def certificate_section(certificate: Certificate | None) -> Html:
    """Return how well the streams are aligned."""
    if certificate is None:
        hint = "It carries no sync certificate; `robot-recorder certificate` makes one."
        return element("p", prose(hint))
    headings = ("stream", "policy", "rate", "declared", "samples", "lost", "longest gap", "skew p50",
                "p95", "max", "held", "missing", "offset", "drift")  # fmt: skip
    items = certificate.streams.items()
    found = [
        element("li", element("b", name), f": {text}") for name, s in items for text in s.findings()
    ]
    rows = [_certificate_row(name, s) for name, s in items]
    classes = ["warn" if s.findings() else "" for _, s in items]
    return html(
        [
            element("p", certificate.summary),
            element("ul", found, class_="findings") if found else None,
            table(headings, rows, range(2, len(headings)), classes),
            element(
                "p",
                "Skew: time from tick to chosen sample. Held: an older sample was used. "
                "Offset: robot clock minus stamp, at the least delay. Drift: how much too fast the stamping clock runs.",
                class_="explained",
            ),
        ]
    )


def _certificate_row(name: str, stream: StreamCertificate) -> tuple[object, ...]:
    frames = stream.frames
    skews = (stream.skew_p50_ms, stream.skew_p95_ms, stream.skew_max_ms)
    return (
        element("span", name, title=stream.topic),
        stream.policy,
        number(stream.measured_hz, ".4g", "Hz"),
        number(stream.expected_hz, "g", "Hz"),
        f"{stream.count:,}",
        UNKNOWN if stream.lost is None else f"{stream.lost:,}",
        number(stream.longest_gap_ms, ".1f", "ms"),
        *(number(skew, ".1f", "ms") for skew in skews),
        f"{stream.held / frames:.1%}" if frames else NONE,
        f"{stream.missing / frames:.1%}" if frames else NONE,
        _with_interval(stream.offset_ms, stream.offset_pm_ms, ".2f", "ms"),
        _with_interval(stream.drift_ppm, stream.drift_pm_ppm, ".1f", "ppm"),
    )


def _with_interval(value: float | None, half: float | None, form: str, unit: str) -> str:
    if value is None or half is None:
        return number(value, form, unit)
    return f"{value:{form}} ± {half:{form}} {unit}"


def quality_section(quality: QualityReport) -> Html:
    """Return the findings, worst first, then what could not be checked, then what passed."""
    if quality.verdict is Verdict.UNKNOWN:
        return element("p", prose("Not checked; run `robot-recorder check --save`."))
    passed = [r for r in quality.results if r.level is Level.PASS]
    headings = ("", "check", "stream", "finding", "figure", "limit")
    rows = [
        (element("span", r.level.name.lower(), class_=f"level {r.level.name.lower()}"),
         r.check, r.stream or "whole episode", r.sentence, _figure(r), _limit(r))
        for r in quality.findings
    ]  # fmt: skip
    return html(
        [
            table(headings, rows, (4, 5)) if rows else element("p", "No findings."),
            _broken(quality),
            folded(f"{plural(len(passed), 'check')} passed", _passed(passed)) if passed else None,
        ]
    )


def _broken(quality: QualityReport) -> Html | None:
    if not quality.broken:
        return None
    items = [element("li", text) for text in quality.broken]
    return html([element("h3", "Not checked"), element("ul", items)])


def _passed(results: Sequence[Result]) -> Html:
    checks: dict[str, list[str]] = {}
    for result in results:
        checks.setdefault(result.check, []).append(
            f"{result.stream or 'whole episode'} {number(result.figure)}"
        )
    rows = [(check, ", ".join(figures)) for check, figures in checks.items()]
    return table(("check", "figure by stream"), rows)


def _figure(result: Result) -> str:
    return number(result.figure, ".4g", result.unit)


def _limit(result: Result) -> str:
    return number(result.threshold, "g", result.unit)


def streams_table(data: EpisodeData, certificate: Certificate | None) -> Html:
    """Return all streams and other topics of the bag with counts, rates and losses by place."""
    certified = certificate.streams if certificate else {}
    read: dict[str, list[Topic]] = {}
    for topic in data.contents.topics:
        read.setdefault(topic.name, []).append(topic)
    order = {t.name: place for place, t in reversed(list(enumerate(data.contents.topics)))}
    streams, types = data.episode.streams, _types(data)
    length = data.contents.last_s - data.contents.first_s
    rows = []
    counts = {**dict.fromkeys(streams, 0), **data.episode.counts}
    for name in sorted(counts, key=lambda name: (order.get(name, len(order)), name)):
        count = counts[name]
        for stream in read.get(name, [None]):
            known = certified.get(stream.stream) if stream else None
            rate = (count - 1) / length if count > _FEW and length > 0 else None
            rate = known.measured_hz if known else rate
            role = stream.role.value if stream and stream.role else NONE
            lost = streams.get(name, {}).get("lost")
            rows.append((stream.stream if stream else NONE, name, types.get(name, UNKNOWN), role,
                         f"{count:,}", number(rate, ".4g", "Hz"), _lost(lost)))  # fmt: skip
    headings = ("stream", "topic", "type", "role", "messages", "rate", "lost")
    return table(headings, rows, (4, 5))


def _types(data: EpisodeData) -> dict[str, str]:
    described = (t["topic_metadata"] for t in data.episode.metadata["topics_with_message_count"])
    return {d["name"]: d["type"] for d in described}


def _lost(by_place: dict[str, int | None] | None) -> str:
    """Return losses by place; a number that is not known is shown as unknown."""
    if by_place is None:
        return UNKNOWN
    # Only topics that are encoded can lose messages there.
    places = [p for p in Place if p is not Place.ENCODER or p.text in by_place]
    counts = {place.text: by_place.get(place.text) for place in places}
    if not any(counts.values()) and None not in counts.values():
        return "0"
    return ", ".join(
        f"{place}: {UNKNOWN if count is None else format(count, ',')}"
        for place, count in counts.items()
        if count != 0
    )


def everything(data: EpisodeData) -> Html:
    """Return the custom_data of metadata.yaml."""
    facts = data.episode.facts
    if not facts:
        return element(
            "p", "Its metadata.yaml has no custom_data: it was not recorded by this package."
        )
    short = {key: value for key, value in facts.items() if len(value) <= _LONG}
    rows = [(element("code", key), value or NONE) for key, value in short.items()]
    return html(
        [
            folded(f"custom_data: {plural(len(short), 'fact')}", table(("key", "value"), rows)),
            [
                folded(element("code", key), element("pre", _readable(value)))
                for key, value in facts.items()
                if key not in short
            ],
        ]
    )


def _readable(value: str) -> str:
    """Indent JSON; other values, such as the YAML of a profile, are readable as they are."""
    try:
        return json.dumps(json.loads(value), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return value


def problems_list(problems: Sequence[str]) -> Html:
    """Return what could not be read."""
    if not problems:
        return element("p", "All numbers and pictures could be read.")
    return element("ul", [element("li", text) for text in problems])
