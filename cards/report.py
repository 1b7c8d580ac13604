"""
A case to read from beginning to end: for a terminal, as Markdown, and as JSON with words. Pure.

Markdown and JSON are without secrets, see `services.report.redacted`; everything that an outsider wrote is neutralised
in the Markdown as it is on cards.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Literal

from cards import compose, faces
from cards import language as catalogues
from cards.language import DEFAULT_LANGUAGE, Words
from cards.markdown import cell, fenced, parts, table
from cards.views import Line, Mark, Step
from services.audit import AuditEntry
from services.cases import (
    Action,
    ActionState,
    Approval,
    ApprovalPurpose,
    Case,
    CaseKind,
    CaseState,
    Finding,
    PreventionItem,
    SignalState,
    Text,
    Verdict,
    say,
)
from services.report import REDACTED, case_report, findings_of, milestones, points_of, redacted, redacted_case

#: The longest value in a report, in characters, and how much of a list is told: all that a case holds.
MAX_VALUE_LENGTH = 1000
MAX_LIST_LENGTH = 100

#: Characters that mean something to a chat client even inside a string, and how JSON writes them otherwise.
_ESCAPES = {"`": "\\u0060", "<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}

# --- for a terminal --------------------------------------------------------------------------------------------------


def as_text(case: Case, entries: Sequence[AuditEntry], language: str) -> str:
    """
    The whole case in the reader's language. The trail's tags and details stay as they are stored, since they are what
    `audit verify` has checked.
    """
    words, view = Words(language), compose.checklist(case)
    lines = [words.plain(view.headline), *(words.plain(text) for text in (*view.needed, *view.facts)), ""]
    for step in view.steps:
        lines += [*_step(step, words), ""]
    times = [f"  {words.plain(line)}" for line in _times(case, entries)]
    lines += [words.plain("report.times"), *times, ""] if times else []
    return "\n".join([*lines, *map(_entry, entries)])


def _step(step: Step, words: Words) -> Iterator[str]:
    yield f"{words.plain(step.title)} - {words.plain(step.mark.word)}"
    for told in step.notes:
        yield f"  {words.plain(told)}"
    if step.verdict is not None:
        yield f"  {words.plain(step.verdict.label)}. {words.plain(step.verdict.completeness)}"
        yield from (f"    {words.plain(reason)}" for reason in step.verdict.reasons)
    for group in step.groups:
        if group.title is not None:
            yield f"  {words.plain(group.title)}"
        for line in group.lines:
            yield from _line(line, words)


def _line(line: Line, words: Words) -> Iterator[str]:
    said = f": {words.plain(line.said)}" if line.said else ""
    yield f"  {line.mark.symbol} {words.plain(line.label)} - {words.plain(line.mark.word)}{said}"
    yield from (f"      {words.plain(text)}" for text in (*line.warnings, *line.details))


def _entry(entry: AuditEntry) -> str:
    actor = f"  {entry.actor_name}" if entry.actor_name else ""
    return f"{entry.seq:5} {entry.at[:19]}Z  {entry.tag}{actor}  {entry.details}"


# --- for machines ----------------------------------------------------------------------------------------------------


def as_json(case: Case, entries: Sequence[AuditEntry]) -> dict[str, Any]:
    """`services.report.case_report`, with the English words of every text next to its key, as "text"."""
    words = Words(DEFAULT_LANGUAGE, longest=MAX_VALUE_LENGTH, most=MAX_LIST_LENGTH)
    return _worded(case_report(case, entries), words)


def _worded(value: Any, words: Words) -> Any:
    if isinstance(value, list):
        return [_worded(item, words) for item in value]
    if not isinstance(value, dict):
        return value
    worded = {name: _worded(item, words) for name, item in value.items()}
    if value.keys() == {"key", "params"}:
        worded["text"] = words.plain(Text.model_validate(value))
    return worded


# --- in a chat ------------------------------------------------------------------------------------------------------


def messages(case: Case, entries: Sequence[AuditEntry], form: Literal["markdown", "json"], language: str) -> list[str]:
    """
    The report as messages in Markdown, in order, each small enough for Teams and valid by itself.

    The lines of JSON stand in code blocks; copied in order they are one JSON document. Strings longer than
    MAX_VALUE_LENGTH end in an ellipsis there, so that no line is larger than a message.
    """
    if form == "markdown":
        return parts(as_markdown(case, entries, language))
    text = json.dumps(_shortened(as_json(case, entries)), indent=2, ensure_ascii=False)
    return fenced(text.translate(str.maketrans(_ESCAPES)))


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {name[:MAX_VALUE_LENGTH]: _shortened(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if isinstance(value, str) and len(value) > MAX_VALUE_LENGTH:
        return value[: MAX_VALUE_LENGTH - 1] + "…"
    return value


# --- as Markdown -----------------------------------------------------------------------------------------------------


def as_markdown(case: Case, entries: Sequence[AuditEntry], language: str) -> str:
    """
    The whole evidence of a case in the reader's language: verdict and how it came about, every check, the plan and what
    became of it, who agreed to what, prevention, and the story as the audit trail tells it.

    `entries` are those of the trail about this case. See `messages` for sending it.
    """
    lines = _Report(redacted_case(case), entries, language).lines()
    return "\n".join(line for blank, run in groupby(lines, lambda line: not line) for line in ([""] if blank else run))


class _Report:
    """The sections of one report, each a run of lines of Markdown."""

    def __init__(self, case: Case, entries: Sequence[AuditEntry], language: str) -> None:
        self._case = case
        self._entries = entries
        self._words = Words(language, longest=MAX_VALUE_LENGTH, most=MAX_LIST_LENGTH)
        self._brief = Words(language)
        self._findings = findings_of(case)
        self._labels = {action.action_id: _action_label(action) for action in (*case.actions, *case.fixes)}

    def lines(self) -> Iterator[str]:
        yield from self._beginning()
        yield from self._verdict()
        yield from self._checks()
        yield from self._unread()
        yield from self._actions()
        yield from self._approvals()
        yield from self._prevention()
        yield from self._times()
        yield from self._timeline()
        yield from self._verification()

    # --- pieces ---

    def _said(self, text: Text | str, **params: Any) -> str:
        return cell(self._words.t(text, **params))

    def _value(self, value: Any) -> str:
        return self._said(say("word.listed", items=[value]))

    def _heading(self, level: int, text: Text) -> list[str]:
        # Values in headings are cut as on cards: a heading is repeated on every message that goes on under it.
        return ["", f"{'#' * level} {cell(self._brief.t(text))}", ""]

    def _bullets(self, *texts: Text | None) -> list[str]:
        return [f"- {self._said(text)}" for text in texts if text is not None]

    def _marked(self, level: int, mark: Mark, label: Text) -> list[str]:
        return self._heading(level, say("report.marked", label=label, state=mark.word))

    # --- who, what, when ---

    def _beginning(self) -> Iterator[str]:
        case, view = self._case, compose.checklist(self._case)
        yield f"# {cell(self._brief.t(say('report.title', case=case.case_id, who=_who(case))))}"
        yield ""
        yield self._said(view.headline)
        yield ""
        yield from self._bullets(*view.needed, *view.facts)
        if case.subject is not None:
            yield from self._bullets(say("report.account_id", oid=case.subject.user_oid))
        if case.block is not None and case.block.reason_raw:
            yield from self._bullets(say("report.reason_raw", reason=case.block.reason_raw))
        yield from self._bullets(
            say("report.typed", query=case.query),
            say("report.state", state=faces.case_mark(case.state).word),
            say("report.closed", at=case.closed_at) if case.closed_at else None,
            say("report.redacted", mark=REDACTED),
        )

    # --- the verdict ---

    def _verdict(self) -> Iterator[str]:
        verdict = self._case.verdict
        if verdict is None:
            yield from self._heading(2, say("report.no_verdict"))
            return
        scored = [(f, *points_of(f, self._case)) for f in self._findings if points_of(f, self._case)[0] > 0]
        yield from self._heading(2, say("report.verdict", verdict=say(f"verdict.{verdict.label.value}")))
        yield from self._bullets(
            say("verdict.completeness", n=verdict.checked, m=verdict.total),
            say("report.read_share", percent=int(100 * verdict.completeness)),
            say("verdict.low_completeness") if verdict.low_completeness else None,
            _score(verdict),
            say("report.found_late", checks=_signal_labels(self._case.found_late)) if self._case.found_late else None,
            *(reason for reason in verdict.reasons if reason not in [finding.summary for finding, *_ in scored]),
        )
        if scored or not verdict.score:
            yield from self._breakdown(scored)

    def _breakdown(self, scored: Sequence[tuple[Finding, int, int]]) -> Iterator[str]:
        """The table of what each check added to the score, the heaviest first."""
        if not scored:
            yield from self._bullets(say("report.nothing_scored"))
            return
        headers = [self._said(f"report.column.{name}") for name in ("check", "points", "found")]
        rows = [
            [
                self._said(_signal_label(finding.signal_id)),
                self._said("report.points", points=points, most=most),
                self._said(finding.summary),
            ]
            for finding, points, most in sorted(scored, key=lambda row: -row[1])
        ]
        yield from table(headers, rows)

    # --- the evidence ---

    def _checks(self) -> Iterator[str]:
        yield from self._heading(2, say("report.checks"))
        if not self._findings:
            yield self._said("report.no_checks")
        for finding in self._findings:
            yield from self._check(finding)

    def _check(self, finding: Finding) -> Iterator[str]:
        yield from self._marked(3, faces.signal_mark(finding.state), _signal_label(finding.signal_id))
        yield self._said(finding.summary)
        yield ""
        yield from self._bullets(
            *finding.evidence,
            _because(finding),
            say("report.read_at", at=finding.read_at) if finding.read_at else None,
        )

    def _unread(self) -> Iterator[str]:
        unread = [finding for finding in self._findings if finding.state is SignalState.UNKNOWN]
        pending = [finding for finding in self._findings if finding.state is SignalState.PENDING]
        yield from self._heading(2, say("report.unreadable"))
        everything = self._findings and not unread and not pending
        yield from self._bullets(*map(_why_unread, unread), say("report.all_read") if everything else None)
        if pending:
            yield from self._heading(2, say("report.still_reading"))
            yield from self._bullets(*(_signal_label(finding.signal_id) for finding in pending))
        if unread or pending:
            yield ""
            yield self._said("report.unknown_counts")

    # --- what was done ---

    def _actions(self) -> Iterator[str]:
        yield from self._heading(2, say("report.actions"))
        if not self._case.actions:
            yield self._said("report.no_actions")
        for action in (*self._case.actions, *self._case.fixes):
            yield from self._action(action)

    def _action(self, action: Action) -> Iterator[str]:
        yield from self._marked(3, _action_mark(action, self._case), self._labels[action.action_id])
        undo = say("action.can_be_undone" if action.reversible else "action.cannot_be_undone")
        before = action.before if action.reversible else None
        yield from self._bullets(
            say(f"action.{action.kind.value}.effect"),
            say("action.impact", impact=say(f"impact.{action.impact.value}"), undo=undo),
            say("report.optional") if action.optional else None,
            action.warning,
            action.outcome,
            say("report.done_at", at=action.done_at) if action.done_at else None,
            say("report.before", before=_pairs(before)) if before else None,
            say("report.undo", state=faces.action_mark(action.undo_state).word) if action.undo_state else None,
            action.undo_outcome,
        )

    # --- who agreed to it ---

    def _approvals(self) -> Iterator[str]:
        yield from self._heading(2, say("report.approvals"))
        if not self._case.approvals:
            yield self._said("report.no_approvals")
        for approval in self._case.approvals:
            yield from self._approval(approval)

    def _approval(self, approval: Approval) -> Iterator[str]:
        by = (approval.asked_by or self._case.requester).name
        decided_by = approval.decided_by.name if approval.decided_by else None
        left_out = self._left_out(approval)
        yield from self._heading(3, say(f"report.purpose.{approval.purpose.value}"))
        yield from self._bullets(
            say(f"approval_state.{approval.state.value}.note"),
            say("approval_prompt.decided", by=decided_by, at=approval.decided_at) if decided_by else None,
            say("approval_prompt.reason_given", reason=approval.reason) if approval.reason else None,
            say("report.asked", at=approval.asked_at, by=by, until=approval.expires_at),
            say("report.agreed", actions=self._names(approval.approved)) if approval.approved else None,
            say("report.left_out", actions=self._names(left_out)) if left_out else None,
            say("report.plan_hash", hash=approval.plan_hash),
            say("report.approved_hash", hash=approval.approved_hash) if approval.approved_hash else None,
        )

    def _left_out(self, approval: Approval) -> list[str]:
        if approval.purpose is not ApprovalPurpose.REMEDIATION or not approval.approved:
            return []
        skipped = (action for action in self._case.actions if action.state is ActionState.SKIPPED)
        return [action.action_id for action in skipped if action.action_id not in approval.approved]

    def _names(self, action_ids: Sequence[str]) -> list[Text | str]:
        return [self._labels.get(action_id, action_id) for action_id in action_ids]

    # --- prevention ---

    def _prevention(self) -> Iterator[str]:
        yield from self._heading(2, say("report.prevention"))
        if not self._case.prevention:
            yield self._said("report.no_prevention")
        for item in self._case.prevention:
            mark = faces.prevention_mark(item.state)
            marked = say("report.marked", label=say(f"prevention.{item.item_id}.label"), state=mark.word)
            yield f"- {mark.symbol} {self._said(marked)}. {self._said(_prevention_said(item))}"

    # --- how long it took ---

    def _times(self) -> Iterator[str]:
        lines = _times(self._case, self._entries)
        if lines:
            yield from self._heading(2, say("report.times"))
            yield from self._bullets(*lines)

    # --- the story ---

    def _timeline(self) -> Iterator[str]:
        yield from self._heading(2, say("report.timeline"))
        if not self._entries:
            yield self._said("report.no_timeline")
            return
        headers = [self._said(f"report.column.{name}") for name in ("number", "when", "what", "who", "details")]
        yield from table(headers, map(self._event, self._entries))

    def _event(self, entry: AuditEntry) -> list[str]:
        details = redacted(json.loads(entry.details))
        if isinstance(action_id := details.get("action"), str) and action_id in self._labels:
            details["action"] = self._said(self._labels[action_id])
        return [
            str(entry.seq),
            self._value(_moment(entry.at)),
            self._said(_event_name(entry.tag)),
            self._value(redacted(entry.actor_name) or say("report.bot")),
            self._value(_pairs(details)),
        ]

    def _verification(self) -> Iterator[str]:
        yield from self._heading(2, say("report.verify"))
        export = f"python app.py cases report {self._case.case_id} --format json"
        yield self._said("report.verify.how", command="python app.py audit verify", export=export)
        if self._entries:
            last = self._entries[-1]
            yield ""
            yield self._said("report.verify.last", seq=str(last.seq), hash=last.hash)


# --- words for values ------------------------------------------------------------------------------------------------


def _who(case: Case) -> str:
    return (case.subject.display_name or case.subject.upn) if case.subject else case.query


def _signal_label(signal_id: str) -> Text:
    return say(f"signal.{signal_id}.label")


def _signal_labels(signal_ids: Sequence[str]) -> list[Text]:
    return [_signal_label(signal_id) for signal_id in signal_ids]


def _because(finding: Finding) -> Text | None:
    reason = finding.unknown_reason
    return say("report.because", why=say(f"unknown_reason.{reason.value}")) if reason else None


def _why_unread(finding: Finding) -> Text:
    return say("report.marked", label=_signal_label(finding.signal_id), state=finding.summary)


def _score(verdict: Verdict) -> Text:
    if not verdict.compromised_from:  # judged before the limit was kept with the verdict
        return say("report.score_alone", score=verdict.score)
    return say("report.score", score=verdict.score, limit=verdict.compromised_from)


def _action_label(action: Action) -> Text:
    return say(f"action.{action.kind.value}.label", target=action.target_name or say("word.unnamed"))


def _action_mark(action: Action, case: Case) -> Mark:
    """A proposal is one until it is approved; then it was not started, and in the end not done."""
    mark = faces.action_mark(action.state)
    if action.state is not ActionState.PROPOSED or case.state is CaseState.AWAITING_APPROVAL:
        return mark
    word = say("action_state.not_started" if case.is_at_work else "action_state.not_done")
    return Mark(mark.symbol, word, mark.colour)


def _prevention_said(item: PreventionItem) -> Text:
    if item.ticked_by is not None:
        return say("prevention.ticked_by", by=item.ticked_by.name, at=item.ticked_at)
    return item.summary


def _times(case: Case, entries: Sequence[AuditEntry]) -> list[Text]:
    """From the block to each milestone; of what is not about a block, nothing."""
    if case.kind is CaseKind.TENANT:
        return []
    times = milestones(case, entries)
    return [_time(name, times[name], case) for name in _MILESTONES]


_MILESTONES = ("alert", "request", "approval", "containment", "unblock", "first_delivered")


def _time(name: str, milestone: Mapping[str, Any], case: Case) -> Text:
    label, at, seconds = say(f"report.time.{name}"), milestone["at"], milestone["seconds"]
    if at is None:
        return say("report.time.line", what=label, took=say(_missing(name, case)))
    if seconds is None or seconds < 0:
        return say("report.time.line", what=label, took=say("report.time.at", at=_moment(at)))
    return say("report.time.line", what=label, took=say("report.time.took", took=duration(seconds), at=_moment(at)))


def _missing(name: str, case: Case) -> str:
    """Why there is no moment: what was left undone is told apart from what nobody knows."""
    follow = case.follow_up
    if name == "containment" and not case.containment and case.verdict is not None:
        return "report.time.not_needed"
    not_known = name == "alert" or (name == "first_delivered" and (follow is None or follow.unread is not None))
    return "report.time.not_known" if not_known else "report.time.not_so_far"


def duration(seconds: int) -> Text:
    """The two largest units."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return say("report.duration.days", days=days, hours=hours % 24)
    if hours:
        return say("report.duration.hours", hours=hours, minutes=minutes % 60)
    if minutes:
        return say("report.duration.minutes", minutes=minutes)
    return say("report.duration.seconds", seconds=seconds)


def _event_name(tag: str) -> Text | str:
    """The words for a tag of the audit trail; the tag itself when a newer version wrote it."""
    key = f"audit.{tag.replace(':', '.')}"
    return say(key) if key in catalogues.messages(DEFAULT_LANGUAGE) else say("word.listed", items=[tag])


def _moment(at: str) -> datetime:
    return datetime.fromisoformat(at)


def _pairs(values: dict[str, Any]) -> str:
    """What a machine wrote down, as it stands, without the marks that only a machine needs."""
    return "; ".join(f"{name}: {_bare(value)}" for name, value in values.items() if value not in (None, "", [], {}))


def _bare(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)
