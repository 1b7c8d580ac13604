"""The short answers: refusals, errors, and what to type instead. Each is a view; the words are in the catalogues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot import grammar
from bot.presenter import case_view, view_of
from cards import compose
from cards.alerts import who
from cards.views import Button, Tone, View
from services.alerts.model import Alert
from services.cases import Approval, ApprovalPurpose, Case, Text, say
from services.casework import APPROVALS_CONVERSATION
from services.conversations import CardCopy
from services.errors import (
    BadInput,
    BadOwner,
    BotError,
    NotAllowed,
    PermissionMissing,
    ServiceError,
    SeveralAlerts,
    UserError,
)
from services.identification import Identified
from services.oncall.on_call import OnDuty
from services.oncall.telling import OnCallTold

#: Few names have more words than this.
_WORDS_OF_A_NAME = 3


def refusal_of(refusal: NotAllowed, current: View | None) -> View:
    """Why this person may not, on top of the card as it is now, if they pressed one."""
    return compose.refusal(say(f"refusal.{refusal.reason}"), current)


def sign_in_first(
    case: Case, prompt: Approval, address: str | None, *, ticked: tuple[str, ...] | None, reason: str
) -> View:
    """The question with the button to sign in again; without an address nobody can, and the card says so."""
    current = compose.approval_prompt(case, prompt)
    if address is None:
        return compose.refusal(say("refusal.no_step_up"), current)
    return compose.sign_in_first(current, address, ticked=ticked, reason=reason)


def sign_in_link(case: Case, address: str | None) -> View:
    """For who has typed: the button that opens the browser, and to say it again then."""
    if address is None:
        return compose.refusal(say("refusal.no_step_up"), None)
    button = Button("sign_in", say("button.sign_in_again"), style="positive", opens=address)
    hint = say("notice.sign_in_then", case=case.case_id)
    return compose.notice(Tone.WARNING, say("notice.sign_in_first"), (hint,), (button,))


def sign_in_in_chat(*, sent: bool) -> View:
    """Where others read along: where the link is, or why there is none."""
    return compose.notice(Tone.WARNING, say("notice.sign_in_first"), (say(f"notice.sign_in_{_where(sent)}"),))


def _where(sent: bool) -> str:
    return "in_chat" if sent else "no_chat"


def wrong_input(error: UserError) -> Text:
    """What was wrong with what somebody chose or typed on a card."""
    if type(error) is BadInput and error.params.get("what") == "item":
        return say("notice.nothing_ticked")
    said = {name: value for name, value in error.params.items() if isinstance(value, str)}
    return say(f"bad_owner.{error.reason}" if isinstance(error, BadOwner) else error.key, **said)


def identity_missing() -> View:
    """Teams did not say who it is: another bot or an anonymous person."""
    return compose.refusal(say("refusal.no_identity"), None)


def error_notice(error: BotError) -> View:
    params = {name: value for name, value in error.params.items() if isinstance(value, str)}
    return compose.notice(Tone.ATTENTION, say("notice.failed"), (say(error.key, **params),))


def current_card(case: Case, copy: CardCopy | None) -> View:
    """The card that was refreshed as it is now. A copy of another case (this one joined it) shows the case."""
    return view_of(case, copy) if copy is not None and copy.case_id == case.case_id else case_view(case)


def no_case_yet(query: str, identified: Identified) -> View:
    if identified.candidates:
        return _which_one(query, identified, "notice.candidates")
    if identified.refusal is not None:
        return compose.notice(Tone.NEUTRAL, say("notice.no_case", query=query), (identified.refusal,))
    hint: Text = say("notice.no_case_hint", command=f"unblock {query}")
    return compose.notice(Tone.NEUTRAL, say("notice.no_case", query=query), (hint,))


def _which_one(query: str, identified: Identified, hint: str) -> View:
    names = [candidate.upn for candidate in identified.candidates]
    return compose.notice(Tone.NEUTRAL, say("notice.which_one", query=query), (say(hint, upns=names),))


def nobody_to_check(query: str, identified: Identified) -> View:
    """Several accounts fit, or none does."""
    if identified.candidates:
        return _which_one(query, identified, "notice.check_which")
    refusal = identified.refusal or say("outcome.nobody", query=query)
    return compose.notice(Tone.NEUTRAL, say("notice.which_one_none", query=query), (refusal,))


def nobody_to_explain(query: str, identified: Identified) -> View:
    """Several accounts fit, or it is nobody whose mail could be blocked."""
    if identified.candidates:
        names = [candidate.upn for candidate in identified.candidates]
        which = say("notice.which_one", query=query) if query else say("notice.why_several")
        return compose.notice(Tone.NEUTRAL, which, (say("notice.why_which", upns=names),))
    refusal = identified.refusal or say("outcome.nobody", query=query)
    # A bounce that was pasted without its code looks like a name of many words.
    hint = (say("notice.why_bounce_hint"),) if len(query.split()) > _WORDS_OF_A_NAME else ()
    return compose.notice(Tone.NEUTRAL, say("notice.why_nobody"), (refusal, *hint))


def job_under_way() -> View:
    """The answer to a button that has opened a case: the case has a card of its own."""
    return compose.notice(Tone.ACCENT, say("notice.job_under_way"))


def snoozed(alerts: Sequence[Alert]) -> View:
    """What is quiet now, and until when."""
    told = tuple(say("notice.alert_snoozed", who=who(alert), until=alert.snoozed_until) for alert in alerts)
    return compose.notice(Tone.GOOD, told[0], told[1:])


def which_alert(error: SeveralAlerts) -> View:
    """What was named fits alerts about several things."""
    return compose.notice(Tone.NEUTRAL, say(error.key), (say("notice.which_alert", names=error.params["names"]),))


def undo_asked() -> View:
    return compose.notice(Tone.GOOD, say("notice.undo_asked"))


def reminded() -> View:
    return compose.notice(Tone.GOOD, say("notice.reminded"))


def reason_missing(command: grammar.Approve, language: str) -> View:
    """The question cannot be approved without a reason; how to give one by text."""
    example = grammar.spell(replace(command, reason=_reason(language)), language)
    return compose.notice(Tone.NEUTRAL, say("notice.missing_reason"), (say("notice.example", command=example),))


def not_counted(prompt: Approval, language: str) -> View:
    """What was typed did not say which question it answers; what to type for the one that is shown."""
    if prompt.purpose is ApprovalPurpose.OVERRIDE:
        command: grammar.Command = grammar.Override(prompt.case_id, _reason(language), prompt.code)
    else:
        command = grammar.Approve(prompt.case_id, "", prompt.code)
    hint = say("notice.type_for_this", command=grammar.spell(command, language))
    return compose.notice(Tone.WARNING, say("notice.not_counted"), (hint,))


def _reason(language: str) -> str:
    return "ringde Jane" if language == "sv" else "called Jane"


def on_call(told: OnCallTold) -> View:
    """Who is on call, since when and until when, where that comes from, and what to know about it."""
    duty = told.duty
    title = say("notice.oncall", names=told.names) if told.names else say("notice.oncall_nobody")
    lines = (_on_duty(duty), duty.where if told.names else None, duty.problem, duty.missing)
    tone = Tone.WARNING if duty.problem or duty.missing else Tone.NEUTRAL
    return compose.notice(tone, title, tuple(line for line in lines if line))


def _on_duty(duty: OnDuty) -> Text | None:
    if duty.since and duty.until:
        return say("notice.oncall_between", since=duty.since, until=duty.until)
    if duty.since:
        return say("notice.oncall_since", since=duty.since)
    return say("notice.oncall_until", until=duty.until) if duty.until else None


def access_pass_offer(case: Case) -> View:
    """The button that gets the pass; the pass itself is only ever the answer to it."""
    who = case.subject.display_name or case.subject.upn if case.subject else case.query
    button = Button("access_pass", say("button.access_pass"), {"case": case.case_id}, style="positive")
    hint = (say("notice.access_pass_hint"),)
    return compose.notice(Tone.ACCENT, say("notice.access_pass", who=who), hint, (button,))


def no_access_pass(refusal: ServiceError) -> View:
    """Why Microsoft gave none, and what to do instead."""
    key = "notice.no_pass_permission" if isinstance(refusal, PermissionMissing) else "notice.no_pass_refused"
    return compose.notice(Tone.ATTENTION, say("notice.no_pass"), (say(key),))


def something_missing(command: grammar.Incomplete, language: str) -> View:
    """The command was understood, but not whom or which case it is about."""
    connector = command.command is grammar.Verb.UNBLOCK_CONNECTOR and command.what == "target"
    return compose.notice(
        Tone.NEUTRAL,
        say("notice.missing_connector" if connector else f"notice.missing_{command.what}"),
        (say("notice.example", command=_example(command, language)),),
    )


def _example(command: grammar.Incomplete, language: str) -> str:
    examples: dict[grammar.Verb, grammar.Command] = {
        grammar.Verb.UNBLOCK: grammar.Unblock("jane@contoso.com"),
        grammar.Verb.CASE: grammar.ShowCase("K4P7Z9"),
        grammar.Verb.CANCEL: grammar.Cancel("K4P7Z9"),
        grammar.Verb.UNBLOCK_CONNECTOR: grammar.UnblockConnector("Scanner relay"),
        grammar.Verb.WHY: grammar.Why("jane@contoso.com"),
        grammar.Verb.CHECK: grammar.Check("jane@contoso.com"),
        grammar.Verb.REPORT: grammar.Report("K4P7Z9", "json"),
        grammar.Verb.DRY_RUN: grammar.DryRun("K4P7Z9"),
        grammar.Verb.CHARTS: grammar.Charts("K4P7Z9"),
        grammar.Verb.UNDO: grammar.Undo("K4P7Z9"),
        grammar.Verb.ACCESS_PASS: grammar.AccessPass("K4P7Z9"),
        grammar.Verb.APPROVE: grammar.Approve("K4P7Z9", "", "3FX"),
        grammar.Verb.OVERRIDE: grammar.Override("K4P7Z9", _reason(language), "3FX"),
        grammar.Verb.DENY: grammar.Deny("K4P7Z9", "ring Jane först" if language == "sv" else "call Jane first"),
        grammar.Verb.REMIND: grammar.Remind("K4P7Z9"),
        grammar.Verb.SNOOZE: grammar.Snooze("jane@contoso.com", 4 * 60),
    }
    return grammar.spell(examples.get(command.command, grammar.Help()), language)


def not_understood(command: grammar.Unknown, may_request: bool) -> View:
    if command.suggestion:
        body = (say("notice.did_you_mean", command=command.suggestion),)
        return compose.notice(Tone.NEUTRAL, say("notice.not_understood"), body)
    return compose.help_card(may_request)


def set_here(name: str) -> View:
    what = "approvals" if name == APPROVALS_CONVERSATION else "alerts"
    return compose.notice(Tone.GOOD, say(f"notice.{what}_here"))


def not_in_a_channel(name: str) -> View:
    what = "approvals" if name == APPROVALS_CONVERSATION else "alerts"
    return compose.notice(Tone.NEUTRAL, say("notice.not_in_a_channel"), (say(f"notice.{what}_where"),))


def still_working() -> View:
    """The answer to a click that takes longer than Teams waits; the card itself follows."""
    return compose.notice(Tone.ACCENT, say("notice.still_working"))
