"""
What follows an unblock: lines for the checklist, and the small live cards that tell people the news. Pure functions.

A card of news is a copy like any other: it always says what is true now, so one that was overtaken says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cards.prevention import reminder
from cards.views import Button, Form, NoticeView, Tone, View
from services.cases import USUAL_DELAY, Case, CaseKind, CaseState, FollowUp, Text, say
from services.ports import News, NewsKind

#: States in which there is something to say of the account's mail.
_AFTERWARDS = frozenset({CaseState.UNBLOCKED, CaseState.CLOSED})


def news(case: Case, news: News) -> View:
    """The card for this news of the case, as it is now. How a question ended (DECIDED) is `compose.outcome`."""
    if news.kind is NewsKind.REMINDER:
        return reminder(case, news.person)
    return _AFTER_UNBLOCK[news.kind](case)


# --- lines for step 2 of the checklist -------------------------------------------------------------------------------


def follow_lines(case: Case) -> tuple[Text, ...]:
    """Whether mail flows again, what is watched and until when, and what could not be read; () before the unblock."""
    follow = case.follow_up
    if follow is None or case.kind is not CaseKind.ACCOUNT or case.state not in _AFTERWARDS:
        return ()
    watched = case.state is CaseState.UNBLOCKED
    waiting = watched and follow.first_delivered_at is None
    lines = [
        say("follow.entry_gone", at=follow.unblocked_at) if waiting else None,
        _flows_since(follow),
        _refused(follow),
        _silence(follow) if waiting else None,
        say("follow.unread", why=follow.unread) if follow.unread else None,
        _burst(follow),
        _unguarded(follow) if watched else None,
        _user(case, follow),
    ]
    return tuple(line for line in lines if line)


def _flows_since(follow: FollowUp) -> Text | None:
    return say("follow.first_delivered", at=follow.first_delivered_at) if follow.first_delivered_at else None


def _refused(follow: FollowUp) -> Text | None:
    """The last refusal; it is no news once mail got out after it."""
    at = follow.refused_at
    if at is None or (follow.first_delivered_at and follow.first_delivered_at > at):
        return None
    expected = ".expected" if at < follow.unblocked_at + USUAL_DELAY else ""
    return say(f"follow.refused{expected}", at=at, reason=_reason(follow))


def _reason(follow: FollowUp) -> Text:
    """The code, or that the trace does not tell it."""
    return say("follow.reason", code=follow.refused_code) if follow.refused_code else say("follow.reason_unreadable")


def _silence(follow: FollowUp) -> Text | None:
    """That there is nothing to go by yet; only when the trace was read."""
    if follow.looked_at is None or follow.unread or follow.refused_at:
        return None
    if not follow.messages:
        return say("follow.nothing_sent", at=follow.looked_at)
    return say("follow.none_delivered", n=follow.messages, at=follow.looked_at)


def _burst(follow: FollowUp) -> Text | None:
    return say("follow.burst", n=follow.burst_recipients, at=follow.burst_at) if follow.burst_at else None


def _unguarded(follow: FollowUp) -> Text | None:
    """That Microsoft does not watch this account for the rest of the day, and what the bot has seen meanwhile."""
    if (follow.looked_at or follow.unblocked_at) >= follow.unguarded_until:
        return None
    if follow.looked_at is None:
        return say("follow.unguarded", until=follow.unguarded_until)
    until, recipients = follow.unguarded_until, follow.recipients
    return say("follow.unguarded.counted", n=follow.messages, recipients=recipients, until=until)


def _user(case: Case, follow: FollowUp) -> Text | None:
    """Whether the user knows, when somebody wished that."""
    who = _who(case)
    if follow.user_told is not None:
        return say("follow.user_told" if follow.user_told else "follow.user_not_reached", who=who)
    if follow.tell_user_by is None or case.state is not CaseState.UNBLOCKED:
        return None
    return say("follow.user_will_be_told", who=who, by=follow.tell_user_by.name)


# --- the cards -------------------------------------------------------------------------------------------------------


def _mail_flows(case: Case) -> NoticeView:
    follow = _follow(case)
    facts = (
        say("news.mail_flows.first", at=follow.first_delivered_at, unblocked_at=follow.unblocked_at),
        _user(case, follow),
    )
    wish = () if follow.tell_user_by else (_button(case, "tell_user", "news.button.tell_user"),)
    buttons = (*wish, _show(case))
    return _live(case, _Told(Tone.GOOD, "news.mail_flows.headline", facts, (_unguarded(follow),), buttons))


def _still_refused(case: Case) -> NoticeView:
    follow = _follow(case)
    if follow.first_delivered_at or not follow.refused_at:
        return _overtaken(case)
    told = {"at": follow.refused_at, "reason": _reason(follow), "unblocked_at": follow.unblocked_at}
    facts = (say("news.still_refused.last", **told), _unread(follow))
    wait = None if follow.escalated_at else say("news.still_refused.wait", until=follow.escalate_at)
    return _live(case, _Told(Tone.WARNING, "news.still_refused.headline", facts, (wait,), (_show(case),)))


def _nothing_delivered(case: Case) -> NoticeView:
    """After a day: whether mail is refused, which only Microsoft can end, or there was none, which a test settles."""
    follow = _follow(case)
    if follow.first_delivered_at:
        return _overtaken(case)
    fact, *advice = _for_support(case, follow) if follow.refused_at else _for_a_test(case, follow)
    facts = (_unread(follow), fact)
    headline = "news.nothing_delivered.headline"
    return _live(case, _Told(Tone.ATTENTION, headline, facts, tuple(advice), (_show(case),)))


def _for_support(case: Case, follow: FollowUp) -> tuple[Text, ...]:
    upn = case.subject.upn if case.subject else case.query
    facts = {"upn": upn, "unblocked_at": follow.unblocked_at, "at": follow.refused_at}
    return (
        say("news.nothing_delivered.refused", at=follow.refused_at, reason=_reason(follow)),
        say("news.nothing_delivered.support"),
        say("news.nothing_delivered.tell_support", reason=_reason(follow), **facts),
    )


def _for_a_test(case: Case, follow: FollowUp) -> tuple[Text, ...]:
    test = say("news.nothing_delivered.test", who=_who(case))
    if follow.unread or follow.looked_at is None:
        return (say("news.nothing_delivered.unknown"), test)
    if not follow.messages:
        return (say("news.nothing_delivered.nothing_sent", since=follow.unblocked_at), test)
    return (say("news.nothing_delivered.sent", n=follow.messages, since=follow.unblocked_at), test)


def _much_mail(case: Case) -> NoticeView:
    follow = _follow(case)
    since = {"recipients": follow.recipients, "since": follow.unblocked_at}
    facts = (
        say("news.burst.hour", n=follow.burst_recipients, at=follow.burst_at),
        say("news.burst.total", n=follow.messages, **since),
    )
    unguarded = say("news.burst.unguarded", until=follow.unguarded_until)
    if case.again_in is not None:  # one press is enough; from here on the new case has the buttons
        advice = (unguarded, say("news.burst.begun", case=case.again_in))
        return _live(case, _Told(Tone.ATTENTION, "news.burst.headline", facts, advice, (_show(case),)))
    advice = (unguarded, say("news.burst.choose"))
    buttons = (_button(case, "contain_again", "button.contain_again", "destructive"), _show(case))
    return _live(case, _Told(Tone.ATTENTION, "news.burst.headline", facts, advice, buttons))


def _user_can_send(case: Case) -> NoticeView:
    """For the user: that they can send, and nothing of the case."""
    subject = case.subject
    address = (subject.mail or subject.upn) if subject else case.query
    body = (say("news.user_can_send.body", address=address), say("news.user_can_send.if_not"))
    return NoticeView(headline=say("news.user_can_send.headline"), tone=Tone.GOOD, body=body)


_AFTER_UNBLOCK: Mapping[NewsKind, Callable[[Case], View]] = {
    NewsKind.MAIL_FLOWS: _mail_flows,
    NewsKind.STILL_REFUSED: _still_refused,
    NewsKind.NOTHING_DELIVERED: _nothing_delivered,
    NewsKind.BURST: _much_mail,
    NewsKind.USER_CAN_SEND: _user_can_send,
}


# --- what they share -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Told:
    """What a card of news says: facts stay true, advice and buttons hold while the case is followed."""

    tone: Tone
    headline: str
    facts: tuple[Text | None, ...]
    advice: tuple[Text | None, ...] = ()
    buttons: tuple[Button, ...] = ()


def _live(case: Case, told: _Told) -> NoticeView:
    """The card now. When the case is no longer followed, how it ended comes first, and there is nothing to press."""
    headline = say(told.headline, who=_who(case))
    if case.state is CaseState.UNBLOCKED:
        body = tuple(line for line in (*told.facts, *told.advice) if line)
        return NoticeView(headline=headline, tone=told.tone, body=body, form=Form(buttons=told.buttons))
    now = say("news.moved_on", headline=say(f"case_state.{case.state.value}.headline", who=_who(case)))
    body = tuple(line for line in (now, case.outcome, *told.facts) if line)
    return NoticeView(headline=headline, tone=Tone.NEUTRAL, body=body)


def _overtaken(case: Case) -> NoticeView:
    """Bad news that is no longer true: mail flows, or what was refused was not refused because of the account."""
    if _follow(case).first_delivered_at:
        return _mail_flows(case)
    silence = (_silence(_follow(case)),)
    return _live(case, _Told(Tone.NEUTRAL, "news.still_refused.corrected", silence, buttons=(_show(case),)))


def _unread(follow: FollowUp) -> Text | None:
    return say("follow.unread", why=follow.unread) if follow.unread else None


def _show(case: Case) -> Button:
    return _button(case, "refresh", "news.button.show")


def _button(case: Case, verb: str, title: str, style: str = "default") -> Button:
    return Button(verb, say(title), {"case": case.case_id}, style)


def _follow(case: Case) -> FollowUp:
    assert case.follow_up is not None, "there is no such news of a case that is not followed"
    return case.follow_up


def _who(case: Case) -> str:
    return (case.subject.display_name or case.subject.upn) if case.subject else case.query
