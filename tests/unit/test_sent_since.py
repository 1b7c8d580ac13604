"""What the message trace tells after an unblock: delivered, refused, a burst, or nothing that could be read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cases import CaseState, FollowUp
from services.clients.graph_models import Domain, MessageTrace, TraceEvent
from services.errors import PermissionMissing, ServiceError, Throttled
from services.follow_up import new_follow_up
from services.investigation.table import table
from services.sent_since import ASKED_ABOUT, SentSince, next_look, refusal_code, seen, to_ask_about
from tests.fakes.clock import FakeClock
from tests.fakes.given import NOW, case
from tests.fakes.people import JANE

OUTSIDE = "partner@fabrikam.example"
BURST = table().signals["sent_mail"].thresholds["burst"]
INSIDE = frozenset({"contoso.com"})
BLOCKED = "Reason: [{LED=550 5.1.8 Access denied, bad outbound sender AS(42004)};{MSG=};{FQDN=};{IP=};{LRT=}]"
UNKNOWN_RECIPIENT = "Reason: [{LED=550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found};{MSG=};{FQDN=};{IP=};{LRT=}]"


def follow(**fields: Any) -> FollowUp:
    """The watch of an account that was unblocked at three in the night."""
    return new_follow_up(NOW).model_copy(update=fields)


def row(minutes: float, status: str = "delivered", to: str = OUTSIDE, message: str = "") -> MessageTrace:
    """One row, so many minutes after the unblock."""
    at, name = NOW + timedelta(minutes=minutes), message or f"m{minutes}"
    return MessageTrace(
        trace_id=name, message_id=f"<{name}>", recipient_address=to, received_at=at, subject="Hello", status=status
    )


def mailing(minutes: float, recipients: int, status: str = "delivered") -> list[MessageTrace]:
    return [row(minutes, status, f"reader{n}@fabrikam.example", f"mailing{minutes}") for n in range(recipients)]


def failed(description: str, data: str = "") -> list[TraceEvent]:
    return [TraceEvent(event="Receive"), TraceEvent(event="Fail", description=description, data=data)]


def look_at(*rows: MessageTrace, before: FollowUp | None = None, **more: Any) -> FollowUp:
    return seen(before or follow(), rows, NOW + timedelta(hours=2), inside=INSIDE, **more)


class Trace:
    """A message trace from memory; an error stands for one that cannot be read. Counts what it was asked."""

    def __init__(self, rows: Sequence[MessageTrace] | ServiceError, events: Any = (), domains: Any = ()) -> None:
        self.rows, self.events, self.known_domains = rows, events, domains
        self.asked: list[Any] = []

    async def message_traces(self, sender_address: str, **window: Any) -> Sequence[MessageTrace]:
        self.asked.append((sender_address, window["since"], window["until"]))
        return _answer(self.rows)

    async def message_trace_events(self, trace_id: str, recipient: str) -> Sequence[TraceEvent]:
        self.asked.append((trace_id, recipient))
        return _answer(self.events)

    async def domains(self) -> Sequence[Domain]:
        return _answer(self.known_domains)


def _answer(answer: Any) -> Any:
    if isinstance(answer, ServiceError):
        raise answer
    return answer


async def looked(trace: Trace, before: FollowUp | None = None, hours: float = 2) -> FollowUp:
    followed = case(state=CaseState.UNBLOCKED, subject=JANE.subject(), follow_up=before or follow())
    return await SentSince(trace, FakeClock(NOW + timedelta(hours=hours))).look(followed)


# --- mail flows ---


@pytest.mark.parametrize(
    ("domains", "flows"),
    [
        ((Domain(name="Fabrikam.example"), Domain(name="contoso.com")), False),
        ((Domain(name="contoso.com"),), True),
        (PermissionMissing("graph"), True),
    ],
)
async def test_mail_to_another_domain_of_the_tenant_proves_nothing(domains: Any, flows: bool) -> None:
    """A colleague there is no outsider; when the domains cannot be read, the account's own have to do."""
    trace = Trace([row(40, to="bob@fabrikam.example")], domains=domains)

    assert ((await looked(trace)).first_delivered_at is not None) is flows


@pytest.mark.parametrize("status", ["delivered", "Delivered", " DELIVERED "])
def test_the_first_message_that_somebody_outside_got_proves_that_mail_flows(status):
    """However Graph spells it, and whatever came after it."""
    assert NOW + timedelta(minutes=40) == look_at(row(55), row(40, status)).first_delivered_at


@pytest.mark.parametrize("status", ["pending", "filteredAsSpam", "quarantined", "expanded", "gettingStatus", "", "new"])
def test_any_other_status_proves_nothing(status):
    """A list that was expanded tells nothing of its members, and a status of tomorrow nothing at all."""
    now = look_at(row(40, status))

    assert now.first_delivered_at is None
    assert (None, 1) == (now.refused_at, now.messages)


def test_mail_from_before_the_unblock_proves_nothing():
    """Nor does it count as sent since: it is what the account was blocked for."""
    now = look_at(row(-1), *mailing(-5, 2 * BURST))

    assert (None, None, 0, 0) == (now.first_delivered_at, now.burst_at, now.messages, now.recipients)


def test_mail_to_a_colleague_proves_nothing():
    """A restricted account may only be kept from sending outside."""
    assert look_at(row(40, to="Bob@Contoso.com")).first_delivered_at is None


def test_the_first_delivered_message_stays_the_first():
    """Also when a trace that is cut off no longer shows it."""
    before = look_at(row(40), row(50))

    again = look_at(row(90), before=before)
    assert (before.first_delivered_at, 2) == (again.first_delivered_at, again.messages)


# --- refused ---


def test_a_refusal_of_the_account_is_told_with_its_code():
    """The newest of them counts."""
    now = look_at(row(70, "Failed"), row(65, "failed"), codes={"m70": "5.1.8", "m65": "5.1.8"})

    assert (NOW + timedelta(minutes=70), "5.1.8") == (now.refused_at, now.refused_code)


def test_a_refusal_whose_reason_cannot_be_read_is_told_without_one():
    """It may be the block, and may be anything else."""
    now = look_at(row(70, "failed"), codes={"m70": ""})

    assert (NOW + timedelta(minutes=70), "") == (now.refused_at, now.refused_code)


def test_a_refusal_with_a_reason_goes_before_a_newer_one_without():
    """What is known for certain is told."""
    now = look_at(row(70, "failed"), row(65, "failed"), codes={"m70": "", "m65": "5.1.8"})

    assert (NOW + timedelta(minutes=65), "5.1.8") == (now.refused_at, now.refused_code)


def test_a_message_to_nobody_is_no_refusal_of_the_account():
    """Its address was wrong, which says nothing about who wrote it."""
    assert look_at(row(70, "failed"), codes={"m70": None}).refused_at is None


def test_a_reason_that_is_read_later_corrects_what_was_told():
    """What failed without a reason and was about the recipient is forgotten; a known refusal is not."""
    unknown = look_at(row(70, "failed"), codes={"m70": ""})
    known = look_at(row(70, "failed"), codes={"m70": "5.1.8"})

    assert look_at(row(70, "failed"), before=unknown, codes={"m70": None}).refused_at is None
    assert "5.1.8" == look_at(row(75, "failed"), before=known, codes={"m75": ""}).refused_code


def test_only_news_is_asked_about():
    """The newest few messages, one recipient each, and nothing older than what is known."""
    rows = [row(minutes, "failed", to) for minutes in range(60, 70) for to in (OUTSIDE, "other@fabrikam.example")]
    known = follow(refused_at=NOW + timedelta(minutes=68), refused_code="5.1.8")

    assert ["m69", "m68", "m67"] == list(to_ask_about(follow(), rows))
    assert ["m69"] == list(to_ask_about(known, rows))


@pytest.mark.parametrize(
    ("events", "code"),
    [
        (failed(BLOCKED), "5.1.8"),
        (failed("Remote Server returned '550 5.1.8 Access denied, bad outbound sender'"), "5.1.8"),
        (failed("Reason: [{LED=550 5.7.705 Access denied, tenant has exceeded threshold};{MSG=}]"), "5.7.705"),
        (failed(UNKNOWN_RECIPIENT), None),
        (failed("Reason: [{LED=};{IP=5.1.8.20}]"), ""),
        (failed(""), ""),
        ([], ""),
        ([TraceEvent(event="Deliver", description=BLOCKED)], ""),
        ([*failed(UNKNOWN_RECIPIENT), *failed(BLOCKED)], "5.1.8"),
    ],
)
def test_the_reason_of_a_refusal_is_read_from_its_events(events, code):
    """A code that blocks a sender, None for other reasons, "" where nothing tells."""
    assert code == refusal_code(events)


def test_the_word_of_another_mail_server_is_no_block():
    """Some of them say 5.1.8 to a sender whose domain they do not know; the message had got out."""
    data = '<root><MEP Name="IsSmtpResponseFromExternalServer" String="True" /></root>'

    assert refusal_code(failed("Reason: [{LED=550 5.1.8 Sender address rejected};{MSG=}]", data)) is None
    assert "5.1.8" == refusal_code(failed(BLOCKED, data))


# --- a burst ---


def test_as_many_recipients_within_an_hour_as_in_the_signal_are_a_burst():
    """With the moment at which that hour began."""
    now = look_at(*mailing(20, BURST - 10), *mailing(50, 10))

    assert (BURST, NOW + timedelta(minutes=20)) == (now.burst_recipients, now.burst_at)


def test_the_same_over_several_hours_is_none():
    """Somebody who writes much is not an attacker."""
    assert look_at(*mailing(10, BURST - 1), *mailing(75, BURST - 1)).burst_at is None


def test_a_burst_that_is_refused_is_a_burst():
    """What counts is what the account tries."""
    assert look_at(*mailing(20, BURST, "failed")).burst_at is not None


def test_a_greater_burst_takes_the_place_of_the_first():
    """And a smaller one does not."""
    first = look_at(*mailing(5, BURST))
    greater = look_at(*mailing(80, 2 * BURST), before=first)

    assert (2 * BURST, NOW + timedelta(minutes=80)) == (greater.burst_recipients, greater.burst_at)
    assert 2 * BURST == look_at(*mailing(5, BURST), before=greater).burst_recipients


# --- when to look next ---


@pytest.mark.parametrize(
    ("hours", "delivered", "minutes"),
    [
        (0, False, 2),
        (0.9, False, 2),
        (1, False, 10),
        (20.9, True, 6),  # the last look of the day is at its end
        (21, True, 10),  # the trace may lag by a quarter of an hour
        (21.2, True, 3),
        (21.25, False, 30),
        (23.9, False, 6),
        (24, False, 360),
        (21.25, True, 360),
        (24 * 7 - 1, False, 60),
    ],
)
def test_the_next_look_comes_soon_at_first_and_seldom_at_last(hours, delivered, minutes):
    """The day of this unblock ends after 21 hours."""
    now = NOW + timedelta(hours=hours)
    known = follow(first_delivered_at=NOW if delivered else None, looked_at=now)

    assert timedelta(minutes=minutes) == next_look(known, now) - now


def test_a_day_that_was_not_seen_to_its_end_is_looked_at_every_half_hour():
    """Mail flows, but the trace could not be read since before midnight."""
    known = follow(first_delivered_at=NOW, looked_at=NOW + timedelta(hours=20))
    now = NOW + timedelta(hours=30)

    assert timedelta(minutes=30) == next_look(known, now) - now


@given(st.floats(min_value=0, max_value=24 * 8), st.booleans(), st.floats(min_value=0, max_value=24))
def test_there_is_always_a_next_look_within_six_hours(hours, delivered, unblocked_at_hour):
    """Never in the past, so that no case is forgotten or looked at without end."""
    begun = new_follow_up(NOW.replace(hour=0) + timedelta(hours=unblocked_at_hour))
    begun = begun.model_copy(update={"first_delivered_at": NOW if delivered else None})
    now = begun.unblocked_at + timedelta(hours=hours)

    assert timedelta(0) < next_look(begun, now) - now <= timedelta(hours=6)


_STATUSES = st.sampled_from(["delivered", "Failed", "pending", "expanded"])
_ROWS = st.lists(st.builds(row, st.floats(min_value=-100, max_value=100), _STATUSES), max_size=8)


@given(_ROWS, _ROWS)
def test_looking_again_never_unsees_anything(first, second):
    """Counts only grow, and the first delivered message only gets earlier."""
    before = look_at(*first)
    after = look_at(*second, before=before)

    assert after.messages >= before.messages and after.recipients >= before.recipients
    if before.first_delivered_at:
        assert after.first_delivered_at is not None and after.first_delivered_at <= before.first_delivered_at


# --- looking ---


async def test_a_look_asks_for_the_mail_of_the_account_since_the_unblock():
    """One request when nothing was refused."""
    trace = Trace([row(40)])
    now = await looked(trace)

    assert [(JANE.subject().mail or JANE.upn, NOW, NOW + timedelta(hours=2))] == trace.asked
    assert (NOW + timedelta(minutes=40), NOW + timedelta(hours=2)) == (now.first_delivered_at, now.looked_at)


async def test_a_look_asks_why_something_was_refused():
    """And no more than a few times, whatever was refused."""
    trace = Trace([row(minutes, "failed") for minutes in range(60, 90)], failed(BLOCKED))
    now = await looked(trace)

    assert 1 + ASKED_ABOUT == len(trace.asked)
    assert (NOW + timedelta(minutes=89), "5.1.8") == (now.refused_at, now.refused_code)


async def test_a_reason_that_cannot_be_read_is_not_guessed():
    """The refusal is told all the same."""
    now = await looked(Trace([row(70, "failed")], Throttled("graph")))

    assert (NOW + timedelta(minutes=70), "", None) == (now.refused_at, now.refused_code, now.unread)


async def test_a_trace_that_cannot_be_read_is_not_silence():
    """What was seen before stays, the reason is told, and the next look comes as usual."""
    before = look_at(row(40))
    now = await looked(Trace(PermissionMissing("graph", permission="ExchangeMessageTrace.Read.All")), before)

    assert "unreadable.permission_named" == now.unread.key
    assert (before.first_delivered_at, before.looked_at) == (now.first_delivered_at, now.looked_at)
    assert NOW + timedelta(hours=2, minutes=10) == now.next_look_at


async def test_a_trace_that_can_be_read_again_says_so():
    """The reason is not shown any longer than it holds."""
    unread = await looked(Trace(Throttled("graph")))

    assert (await looked(Trace([]), unread)).unread is None
