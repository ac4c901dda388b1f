"""The quality report of an episode: all its checks, and one verdict a person can act on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from robot_recorder.model.quality_result import Level, Result
from robot_recorder.model.quality_settings import Budget
from robot_recorder.model.thresholds import thresholds


class Verdict(IntEnum):
    """Mirrors QualityReport.VERDICT_*."""

    UNKNOWN = 0
    ACCEPT = 1
    REVIEW = 2
    REJECT = 3

    @property
    def text(self) -> str:
        """The word people read: accept, review, reject."""
        return self.name.lower()


@dataclass(frozen=True)
class QualityReport:
    """What was found about an episode.

    Attributes:
        sentence: what an operator should hear.
        results: worst first.
        broken: what was not checked, and why: checks that could not be made, streams that nobody can judge
            or that are not there; decides nothing.
    """

    verdict: Verdict
    sentence: str
    results: tuple[Result, ...] = ()
    broken: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Result, ...]:
        """What is not as it should be, worst first."""
        return tuple(r for r in self.results if r.level is not Level.PASS)

    @property
    def reasons(self) -> list[str]:
        """Names of the checks that led to the verdict, worst first, each once."""
        if self.verdict in (Verdict.ACCEPT, Verdict.UNKNOWN):
            return []
        return list(dict.fromkeys(r.check for r in self.findings))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; of what passed only the figures, for it would be most of it."""
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
        """From what ``to_dict`` gave; what passed comes back without its words.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: it is none.
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
    """For an episode whose checks failed as a whole: it says so, and why."""
    why = f"{type(error).__name__}: {error}"
    return QualityReport(Verdict.UNKNOWN, f"not checked: {why}", broken=(why,))


def weigh(results: Iterable[Result], broken: Iterable[str], budget: Budget) -> QualityReport:
    """The report: more failures than the budget allows reject, any failure or too many warnings ask
    for a look."""
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
        return f"{verdict.text}: nothing to remark{left_out}"
    first = findings[0]
    where = f"{first.stream} " if first.stream else ""
    return f"{verdict.text}: {where}{first.sentence}{_and_more(findings)}"


def _and_more(said: Sequence[object]) -> str:
    """Behind the first of them."""
    return f" (and {len(said) - 1} more)" if len(said) > 1 else ""
