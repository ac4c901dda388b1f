"""The quality report of an episode: the results of all checks and one verdict to act on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from robot_recorder.model.check_result import Level, Result
from robot_recorder.model.quality_settings import Budget
from robot_recorder.model.thresholds import thresholds


class Verdict(IntEnum):
    """The verdict on an episode; mirrors QualityReport.VERDICT_*."""

    UNKNOWN = 0
    ACCEPT = 1
    REVIEW = 2
    REJECT = 3

    @property
    def text(self) -> str:
        """Return the word for people: accept, review, reject or unknown."""
        return self.name.lower()


@dataclass(frozen=True)
class QualityReport:
    """The results of all checks of an episode.

    Attributes:
        verdict: the outcome of all checks together.
        sentence: the verdict and its main reason, for the operator.
        results: worst first.
        broken: what was not checked, and why: checks that failed, streams that are missing or
            cannot be judged. Does not affect the verdict.
    """

    verdict: Verdict
    sentence: str
    results: tuple[Result, ...] = ()
    broken: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Result, ...]:
        """Return the results that are warnings or failures, worst first."""
        return tuple(r for r in self.results if r.level is not Level.PASS)

    @property
    def reasons(self) -> list[str]:
        """Return the names of the checks that led to the verdict, worst first, each once."""
        if self.verdict in (Verdict.ACCEPT, Verdict.UNKNOWN):
            return []
        return list(dict.fromkeys(r.check for r in self.findings))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; passed checks, which are most of them, only as figures."""
        passed: dict[str, dict[str, float | None]] = {}
        for result in self.results:
            if result.level is Level.PASS:
                passed.setdefault(result.check, {})[result.stream] = result.to_dict()["figure"]
        return {
            "verdict": self.verdict.text,
            "sentence": self.sentence,
            "reasons": self.reasons,
            "findings": [r.to_dict() for r in self.findings],
            "passed": passed,
            "broken": list(self.broken),
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> QualityReport:
        """Read what ``to_dict`` returned; passed checks come back without their sentences.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: it is not a quality report.
        """
        passed = [
            Result(check, str(stream), Level.PASS, math.nan if figure is None else float(figure))
            for check, streams in plain.get("passed", {}).items()
            for stream, figure in streams.items()
        ]
        return cls(
            Verdict[str(plain["verdict"]).upper()],
            str(plain.get("sentence", "")),
            (*(Result.from_dict(r) for r in plain.get("findings", [])), *passed),
            tuple(str(b) for b in plain.get("broken", [])),
        )


UNCHECKED = QualityReport(Verdict.UNKNOWN, "not checked")


def unchecked(error: BaseException) -> QualityReport:
    """Return the report of an episode that could not be checked at all, with the reason."""
    why = f"{type(error).__name__}: {error}"
    return QualityReport(Verdict.UNKNOWN, f"not checked: {why}", broken=(why,))


def weigh(results: Iterable[Result], broken: Iterable[str], budget: Budget) -> QualityReport:
    """Return the report with the verdict that the budget asks for.

    More failures than the budget allows reject; any failure, or too many warnings, ask for a
    review.
    """
    order = {name: number for number, name in enumerate(thresholds())}
    ordered = sorted(results, key=lambda r: (-r.level, order[r.check], r.stream))
    findings = [r for r in ordered if r.level is not Level.PASS]
    fails = sum(r.level is Level.FAIL for r in findings)
    warns = len(findings) - fails
    if fails > budget.fail:
        verdict = Verdict.REJECT
    elif fails or warns > budget.warn:
        verdict = Verdict.REVIEW
    else:
        verdict = Verdict.ACCEPT
    unchecked = tuple(broken)
    sentence = _sentence(verdict, findings, unchecked)
    return QualityReport(verdict, sentence, tuple(ordered), unchecked)


def _sentence(verdict: Verdict, findings: list[Result], unchecked: tuple[str, ...]) -> str:
    if not findings:
        left_out = f"; not checked: {unchecked[0]}{_and_more(unchecked)}" if unchecked else ""
        return f"{verdict.text}: no problems found{left_out}"
    first = findings[0]
    where = f"{first.stream} " if first.stream else ""
    return f"{verdict.text}: {where}{first.sentence}{_and_more(findings)}"


def _and_more(items: Sequence[object]) -> str:
    """Return how many items follow the first, in brackets; empty: none."""
    return f" (and {len(items) - 1} more)" if len(items) > 1 else ""
