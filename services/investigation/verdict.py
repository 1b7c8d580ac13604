"""From findings to a verdict. Pure: the same findings always give the same verdict."""

from __future__ import annotations

from collections.abc import Sequence

from services.cases import Finding, ScorePart, SignalState, Text, Verdict, VerdictLabel, say
from services.investigation.table import Table, table

_READ = (SignalState.FOUND, SignalState.CLEAR)


def decide(findings: Sequence[Finding], rows: Table | None = None) -> Verdict:
    """
    The score is the sum of what the found signals weigh; the label depends on the score alone, with one exception.

    Completeness is the share of all weights whose signals were read, so a signal without a finding counts as unread.
    "No evidence" is not said when less than `least_completeness` was read: then it is "suspected", and the first reason
    says that too little could be read. Thus what is unknown can make a verdict worse and never better. A signal without
    any finding is taken as still being read.
    """
    rows = rows or table()
    found = sorted((f for f in findings if f.state is SignalState.FOUND), key=lambda f: -f.weight)
    score = sum(max(0, finding.weight) for finding in found)
    read = {f.signal_id for f in findings if f.state in _READ} & set(rows.signals)
    completeness = sum(rows.signals[signal_id].weight for signal_id in read) / rows.total_weight
    ended = {f.signal_id for f in findings if f.state is not SignalState.PENDING}
    label, cautions = _label(score, completeness, rows)
    return Verdict(
        label=label,
        score=score,
        completeness=round(completeness, 4),
        checked=len(read),
        total=len(rows.signals),
        reasons=(*cautions, *(finding.summary for finding in found if finding.weight > 0)),
        missing=tuple(signal_id for signal_id in rows.signals if signal_id not in read),
        pending=tuple(signal_id for signal_id in rows.signals if signal_id not in ended),
        breakdown=tuple(_part(finding, rows) for finding in found),
        compromised_from=rows.verdict.compromised_from,
        low_completeness=completeness < rows.verdict.low_completeness,
    )


def _part(finding: Finding, rows: Table) -> ScorePart:
    row = rows.signals.get(finding.signal_id)
    return ScorePart(signal_id=finding.signal_id, points=finding.weight, weight=row.weight if row else finding.weight)


def _label(score: int, completeness: float, rows: Table) -> tuple[VerdictLabel, tuple[Text, ...]]:
    """The label, and why it is worse than the score alone."""
    if score >= rows.verdict.compromised_from:
        return VerdictLabel.COMPROMISED, ()
    if score >= rows.verdict.suspected_from:
        return VerdictLabel.SUSPECTED, ()
    if completeness < rows.verdict.least_completeness:
        return VerdictLabel.SUSPECTED, (say("verdict.too_little_read", percent=round(100 * completeness)),)
    return VerdictLabel.NO_EVIDENCE, ()
