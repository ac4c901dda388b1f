"""A sync certificate as text: of ``certificate``, ``align`` and the demo."""

from __future__ import annotations

import re

from robot_recorder.alignment.certificate import Certificate, StreamCertificate
from robot_recorder.cli.tables import PlainText, Table, table_console


def print_certificate(title: str, certificate: Certificate) -> None:
    """Print the summary, one line per stream, and the findings."""
    console = table_console(180)
    console.print(f"{title}: {certificate.summary}")
    console.print(certificate_table(certificate))
    for name, stream in certificate.streams.items():
        for text in stream.findings():
            console.print(f"  - {name}: {text}")


def certificate_table(certificate: Certificate) -> Table:
    """Return a table with one line per stream."""
    table = Table()
    table.add_column("stream", no_wrap=True)
    table.add_column("policy", no_wrap=True, drop=9)
    for heading, drop in (
        ("Hz (declared)", 4), ("samples", 6), ("lost", 0), ("longest gap", 5),
        ("skew p50 / p95 / p99 / max ms", 1), ("held", 3), ("missing", 2), ("offset ms", 7), ("drift ppm", 8),
    ):  # fmt: skip
        table.add_column(heading, justify="right", no_wrap=True, drop=drop)
    table.add_column("stamped by", no_wrap=True, drop=10)
    for name, stream in certificate.streams.items():
        table.add_row(
            PlainText(name, "red" if stream.findings() else "green"),
            stream.policy,
            f"{_number(stream.measured_hz)} ({_number(stream.expected_hz)})",
            str(stream.count),
            "?" if stream.lost is None else str(stream.lost),
            f"{stream.longest_gap_ms:.1f} ms",
            _skews(stream),
            _share(stream.held, stream.frames),
            _share(stream.missing, stream.frames),
            _with_uncertainty(stream.offset_ms, stream.offset_pm_ms, ".2f"),
            _with_uncertainty(stream.drift_ppm, stream.drift_pm_ppm, ".1f"),
            re.split("[:;]", stream.stamp)[0] or "?",
        )
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _skews(stream: StreamCertificate) -> str:
    values = (stream.skew_p50_ms, stream.skew_p95_ms, stream.skew_p99_ms, stream.skew_max_ms)
    return " / ".join("-" if v is None else f"{v:.1f}" for v in values)


def _share(count: int, frames: int) -> str:
    return f"{count / frames:.1%}" if frames else "-"


def _with_uncertainty(value: float | None, uncertainty: float | None, form: str) -> str:
    if value is None:
        return "-"
    return f"{value:{form}}" + ("" if uncertainty is None else f" ± {uncertainty:{form}}")
