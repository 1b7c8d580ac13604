"""Which block it is, who can lift it and when it ends: told apart from what can be read, and honest about the rest."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.cases import Block, BlockKind, Cause, CauseKind, Certainty, Diagnosis, Lifter
from services.clients.exchange_models import parse_reason
from services.clients.graph_models import SecurityAlert
from services.diagnosis import Diagnoses, parse_ndr
from services.diagnosis.causes import main_reasons, reason_lines
from services.diagnosis.policies import policies_that_may_apply
from services.errors import NotFound, PermissionMissing, Throttled, Unavailable
from tests.fakes.clock import FakeClock
from tests.fakes.mail_flow import (
    JANE,
    NOW,
    UPN,
    FakeMailFlow,
    blocked_connector,
    forwarding_rule,
    forwarding_to,
    mailing,
    policy,
    rule_for,
)

SEEN, POSSIBLE = Certainty.SEEN, Certainty.POSSIBLE
FREE = Block(kind=BlockKind.NONE)
MIDNIGHT = datetime(2026, 11, 25, tzinfo=UTC)


def listed(reason: str = "OutboundSpamPercent=80", kind: BlockKind = BlockKind.RESTRICTED) -> Block:
    since = NOW - timedelta(hours=2)
    return Block(kind=kind, sender_address=UPN, since=since, reason_raw=reason, reason=parse_reason(reason))


async def diagnosed(block: Block = FREE, report: str = "", **values: Any) -> Diagnosis:
    flow = FakeMailFlow(**values)
    ndr = parse_ndr(report) if report else None
    return await Diagnoses(flow, flow, FakeClock(NOW), timeout_s=0.05).of_account(JANE, block, ndr)


async def first(block: Block = FREE, report: str = "", **values: Any) -> Cause:
    return (await diagnosed(block, report, **values)).causes[0]


def kinds(found: Diagnosis) -> list[tuple[CauseKind, Certainty]]:
    return [(cause.kind, cause.certainty) for cause in found.causes]


def said(cause: Cause) -> list[str]:
    return [text.key for text in cause.evidence]


# --- the restricted list ---


async def test_an_entry_is_for_an_admin_to_lift_and_its_reason_is_told_part_by_part():
    """
    Limit type, counts and percentage have words; a key that nobody has seen before is told as it stands.
    """
    reason = (
        "EmailSendingLimitExceeded;InternalRecipientCountToday=1;ExternalRecipientCountToday=1,043;"
        "ExceedingLimitType=External;Last MessagetraceId=4d5e;LastMessageRcptCount=5;NewKey=x;Loose;"
    )
    cause = await first(listed(reason))

    assert (CauseKind.RESTRICTED, SEEN, Lifter.ADMIN) == (cause.kind, cause.certainty, cause.lifter)
    assert NOW - timedelta(hours=2) == cause.since
    assert [
        "diagnosis.reason.limit_external",
        "diagnosis.reason.external",
        "diagnosis.reason.internal",
        "diagnosis.reason.limit",
        "diagnosis.reason.trace_id",
        "diagnosis.reason.last_recipients",
        "diagnosis.reason.other",
        "diagnosis.reason.word",
    ] == said(cause)
    assert 1043 == cause.evidence[1].params["n"]


@pytest.mark.parametrize(
    ("reason", "keys"),
    [
        ("", ["none"]),
        ("OutboundSpamLast24Hours=9;OutboundMailLast24Hours=10;OutboundSpamPercent=90%", ["spam", "mail", "percent"]),
        ("Last Spam Message MessagetraceId:4d5e", ["trace_id"]),
        ("ExceedingLimitType=Subscription", ["other"]),
        ("ExternalRecipientCountToday=many", ["other"]),
    ],
)
def test_a_reason_in_any_form_is_told(reason, keys):
    """
    Nothing of it is lost, whatever Microsoft writes there.
    """
    assert [f"diagnosis.reason.{key}" for key in keys] == [line.key for line in reason_lines(parse_reason(reason))]


OVER = "EmailSendingLimitExceeded;InternalRecipientCountToday=2;ExternalRecipientCountToday=801"


@pytest.mark.parametrize(
    ("reason", "keys"),
    [
        (f"{OVER};ExceedingLimitType=External", ["limit_external", "external"]),
        (f"{OVER};ExceedingLimitType=Internal", ["limit_internal", "internal"]),
        (OVER, ["limit", "external"]),
        ("InternalRecipientCountToday=2;ExceedingLimitType=External", ["limit_external"]),
        ("InternalRecipientCountToday=2;OutboundSpamLast24Hours=9", ["spam", "internal"]),
        ("Surprise=1;Wonder=2;Third=3", ["other", "other"]),
    ],
)
def test_of_a_long_reason_what_it_was_stopped_for_is_told(reason, keys):
    """
    Two inside recipients next to a limit that was exceeded would mislead when 801 outside ones exceeded it.
    """
    assert [f"diagnosis.reason.{key}" for key in keys] == [line.key for line in main_reasons(parse_reason(reason), 2)]


async def test_a_report_of_a_block_that_is_not_on_the_list_any_more_is_no_block_to_lift():
    """
    It was unblocked lately, or the report is old: certain it is not, and nobody has to unblock anything.
    """
    cause = await first(report="550 5.1.8 Access denied, bad outbound sender AS(42004)")

    assert (CauseKind.RESTRICTED, POSSIBLE, Lifter.TIME) == (cause.kind, cause.certainty, cause.lifter)
    assert ["diagnosis.not_listed_now", "diagnosis.report.code", "diagnosis.report.as_number"] == said(cause)


async def test_a_report_is_believed_when_the_list_cannot_be_read():
    """
    The code says it, whatever the list would.
    """
    found = await diagnosed(Block(kind=BlockKind.UNKNOWN), "550 5.1.8")

    assert (CauseKind.RESTRICTED, SEEN) == kinds(found)[0]
    assert ["diagnosis.unread.list"] == [text.key for text in found.unread]


# --- until tomorrow ---


async def test_an_entry_that_ends_by_itself_ends_at_midnight_utc():
    """
    Nobody has to unblock it.
    """
    cause = await first(listed(kind=BlockKind.UNTIL_TOMORROW), "550 5.1.8")

    assert (CauseKind.UNTIL_TOMORROW, SEEN, Lifter.TIME) == (cause.kind, cause.certainty, cause.lifter)
    assert (MIDNIGHT, "5.1.8") == (cause.ends_at, cause.code)


async def test_passing_the_limits_of_a_policy_that_blocks_for_today_is_perhaps_a_block():
    """
    Only what was sent since midnight counts, and only the policy of this account.
    """
    policies = (
        policy("Few", recipients_per_day=50, external_per_hour=40, internal_per_hour=40),
        policy("Default", is_default=True),
    )
    today = mailing(60, at=NOW - timedelta(hours=1))
    yesterday = mailing(60, at=NOW - timedelta(hours=4))
    for_jane, for_bob = (rule_for("Few", who) for who in (UPN, "bob@contoso.com"))

    over = await first(trace=today, policies=policies, rules=(for_jane,))
    assert (CauseKind.UNTIL_TOMORROW, POSSIBLE, MIDNIGHT) == (over.kind, over.certainty, over.ends_at)
    assert ["diagnosis.over.day", "diagnosis.over.external"] == said(over)
    assert CauseKind.NONE is (await first(trace=yesterday, policies=policies, rules=(for_jane,))).kind
    assert CauseKind.NONE is (await first(trace=today, policies=policies, rules=(for_bob,))).kind


@pytest.mark.parametrize("action", ["Alert", "BlockUser"])
async def test_a_policy_with_another_action_does_not_block_until_tomorrow(action):
    """
    An alert blocks nobody, and whom "BlockUser" blocks stands on the list.
    """
    policies = (policy("Default", is_default=True, action=action, recipients_per_day=5),)

    assert CauseKind.NONE is (await first(trace=mailing(9, at=NOW - timedelta(hours=1)), policies=policies)).kind


async def test_while_the_rules_cannot_be_read_any_policy_may_be_the_one():
    """
    Which of them it is, is not known, and the answer says that it was not read.
    """
    policies = (policy("Few", recipients_per_day=5), policy("Default", is_default=True))
    found = await diagnosed(
        trace=mailing(9, at=NOW - timedelta(hours=1)), policies=policies, rules=Throttled("exchange")
    )

    assert [(CauseKind.UNTIL_TOMORROW, POSSIBLE)] == kinds(found)
    assert ["diagnosis.unread.policies"] == [text.key for text in found.unread]


# --- the recipient rate ---


async def test_ten_thousand_recipients_in_24_hours_end_when_enough_are_older():
    """
    10,400 recipients, one a second: below the limit once the 401st is older than a day.
    """
    start = NOW - timedelta(hours=20)
    cause = await first(trace=mailing(10_400, at=start, apart_s=1))

    assert (CauseKind.RECIPIENT_RATE, POSSIBLE, Lifter.TIME) == (cause.kind, cause.certainty, cause.lifter)
    assert start + timedelta(days=1, seconds=400) == cause.ends_at


async def test_a_trace_that_is_cut_off_still_tells_when_it_ends():
    """
    Only the newest ten thousand matter for that.
    """
    start = NOW - timedelta(hours=20)
    cause = await first(trace=mailing(25_000, at=start, apart_s=1))

    assert start + timedelta(days=1, seconds=15_000) == cause.ends_at
    assert "diagnosis.rate.at_least" == said(cause)[0]


async def test_a_report_of_the_rate_is_certain_and_names_what_the_trace_shows():
    """
    With fewer in the trace the end is not known: mail sent in another name counts too.
    """
    cause = await first(report="550 5.1.90", trace=mailing(3, at=NOW - timedelta(hours=1)))

    assert (CauseKind.RECIPIENT_RATE, SEEN, None) == (cause.kind, cause.certainty, cause.ends_at)
    assert ["diagnosis.rate.fewer", "diagnosis.report.code"] == said(cause)


async def test_nearly_ten_thousand_are_no_block():
    """
    One below the limit is below the limit.
    """
    assert [(CauseKind.NONE, SEEN)] == kinds(await diagnosed(trace=mailing(9_999, at=NOW - timedelta(hours=5))))


# --- forwarding ---


@pytest.mark.parametrize(("mode", "certain"), [("Off", True), ("Automatic", True), (None, True), ("On", False)])
async def test_forwarding_outside_may_be_forbidden_unless_the_policy_is_on(mode, certain):
    """
    "Automatic" is not proven to allow it; mail that the account sends itself is not concerned.
    """
    policies = (policy("Default", is_default=True, auto_forwarding_mode=mode),)
    found = await diagnosed(box=forwarding_to("jane@elsewhere.example"), policies=policies)

    forbidden = [(CauseKind.FORWARDING_FORBIDDEN, POSSIBLE)] if certain else []
    assert [(CauseKind.NONE, SEEN), *forbidden] == kinds(found)


async def test_rules_that_forward_outside_count_and_inside_do_not():
    """
    The same holds for rules, while they are switched on.
    """
    rules = (
        forwarding_rule("out", "x@elsewhere.example"),
        forwarding_rule("off", "y@elsewhere.example", enabled=False),
        forwarding_rule("in", "bob@contoso.com"),
    )
    cause = (await diagnosed(inbox=rules)).causes[-1]

    assert CauseKind.FORWARDING_FORBIDDEN is cause.kind
    assert ["diagnosis.forwarding.rule", "diagnosis.forwarding.automatic"] == said(cause)
    assert "out" == cause.evidence[0].params["rule"]


async def test_a_report_of_forbidden_forwarding_is_for_a_setting_to_lift():
    """
    5.7.520 says it by itself.
    """
    cause = await first(report="Remote Server returned '550 5.7.520 Access denied' AS(7555)")

    assert (CauseKind.FORWARDING_FORBIDDEN, SEEN, Lifter.SETTING) == (cause.kind, cause.certainty, cause.lifter)


# --- the tenant ---


async def test_a_blocked_connector_is_beside_the_mail_of_an_account_unless_the_report_says_so():
    """
    Without a report it is told after "no block"; with 5.7.711 it is the cause.
    """
    beside = await diagnosed(connectors=(blocked_connector(),))
    reported = await first(report="550 5.7.711 bad inbound connector. AS(2204)", connectors=(blocked_connector(),))

    assert [(CauseKind.NONE, SEEN), (CauseKind.CONNECTOR, POSSIBLE)] == kinds(beside)
    assert (CauseKind.CONNECTOR, SEEN, Lifter.ADMIN, ("c1",)) == (
        reported.kind,
        reported.certainty,
        reported.lifter,
        reported.connectors,
    )


async def test_a_connector_and_forwarded_copies_are_not_told_beside_a_block():
    """
    Whoever is on the list needs one answer, not three.
    """
    found = await diagnosed(listed(), connectors=(blocked_connector(),), box=forwarding_to("x@elsewhere.example"))

    assert [(CauseKind.RESTRICTED, SEEN)] == kinds(found)


async def test_a_report_of_a_connector_that_is_not_listed_has_nothing_to_unblock():
    """
    It was unblocked meanwhile.
    """
    cause = await first(report="550 5.7.711")

    assert (CauseKind.CONNECTOR, Lifter.TIME, ()) == (cause.kind, cause.lifter, cause.connectors)
    assert "diagnosis.no_connector" in said(cause)


@pytest.mark.parametrize("code", ["5.7.705", "5.7.750"])
async def test_a_restricted_tenant_is_for_microsoft_alone(code):
    """
    Said by the report, before everything else that is true.
    """
    found = await diagnosed(listed(), f"550 {code}")

    assert [(CauseKind.TENANT_RESTRICTED, SEEN), (CauseKind.RESTRICTED, SEEN)] == kinds(found)
    assert Lifter.MICROSOFT is found.causes[0].lifter


async def test_an_open_alert_about_the_tenant_says_the_same_and_a_resolved_one_does_not():
    """
    Title and state decide; whose alert it is does not matter.
    """
    alert = SecurityAlert(alert_id="1", title="Tenant restricted from sending email", status="new", created_at=NOW)
    resolved = alert.model_copy(update={"status": "resolved"})

    assert CauseKind.TENANT_RESTRICTED is (await first(open_alerts=(alert,))).kind
    assert CauseKind.NONE is (await first(open_alerts=(resolved,))).kind


async def test_the_limit_of_the_tenant_is_known_from_a_report_alone():
    """
    No list tells of it.
    """
    cause = await first(report="550 5.7.233 Your message can't be sent")

    assert (CauseKind.TENANT_LIMIT, SEEN, Lifter.TIME) == (cause.kind, cause.certainty, cause.lifter)


async def test_another_code_is_no_block_and_is_explained():
    """
    Even beside things that are true of the tenant, the answer is about the code.
    """
    cause = await first(report="550 5.1.10 RESOLVER.ADR.RecipientNotFound", connectors=(blocked_connector(),))

    assert (CauseKind.OTHER, "5.1.10") == (cause.kind, cause.code)
    assert "diagnosis.code.recipient" == said(cause)[0]


async def test_a_report_alone_is_explained_without_reading_an_account():
    """
    Nobody is named, so only what the code is about is looked at.
    """
    flow = FakeMailFlow(connectors=(blocked_connector(),))
    diagnoses = Diagnoses(flow, flow, FakeClock(NOW))

    restricted = await diagnoses.of_report(parse_ndr("550 5.1.8"))
    connector = await diagnoses.of_report(parse_ndr("550 5.7.711"))

    assert [(CauseKind.RESTRICTED, SEEN)] == kinds(restricted)
    assert ("c1",) == connector.causes[0].connectors
    assert ["connectors"] == flow.calls


# --- unknown is never clean ---


@pytest.mark.parametrize(
    ("lacking", "part"),
    [
        ({"trace": PermissionMissing("graph")}, "trace"),
        ({"open_alerts": Unavailable("graph")}, "alerts"),
        ({"connectors": Throttled("exchange")}, "connectors"),
        ({"policies": Unavailable("exchange")}, "policies"),
        ({"box": Unavailable("exchange")}, "forwarding"),
        ({"inbox": PermissionMissing("exchange")}, "forwarding"),
        ({"user": Unavailable("graph")}, "account"),
        ({"trace": asyncio.Event()}, "trace"),
    ],
)
async def test_whatever_cannot_be_read_is_named_and_nothing_is_certain_then(lacking, part):
    """
    Each read fails alone; "no block" is never certain while something is missing.
    """
    found = await diagnosed(**lacking)

    assert [(CauseKind.NONE, POSSIBLE)] == kinds(found)
    assert [f"diagnosis.unread.{part}"] == [text.key for text in found.unread]


async def test_a_list_that_cannot_be_read_leaves_no_block_uncertain():
    """
    The restricted list is what matters most.
    """
    assert [(CauseKind.NONE, POSSIBLE)] == kinds(await diagnosed(Block(kind=BlockKind.UNKNOWN)))


async def test_an_account_without_a_mailbox_has_nothing_that_could_forward():
    """
    That Exchange knows no mailbox is an answer, not a gap.
    """
    gone = NotFound("exchange")

    assert [(CauseKind.NONE, SEEN)] == kinds(await diagnosed(box=gone, inbox=gone))


# --- which policy ---


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        ((), ["Default"]),
        ((rule_for("A", UPN, priority=1), rule_for("B", UPN, priority=0)), ["B"]),
        ((rule_for("A", sender_domains=("Contoso.com",)),), ["A"]),
        ((rule_for("A", UPN, sender_domains=("fabrikam.com",)),), ["Default"]),
        ((rule_for("A", UPN, except_senders=(UPN,)),), ["Default"]),
        ((rule_for("A", sender_groups=("Sales",)), rule_for("B", UPN, priority=1)), ["A", "B"]),
        ((rule_for("A", UPN, except_groups=("Sales",)),), ["A", "Default"]),
        ((rule_for("A"),), ["A", "Default"]),
        ((rule_for("Gone", UPN),), ["Default"]),
        ((rule_for("A", UPN).model_copy(update={"state": "Disabled"}),), ["Default"]),
    ],
)
def test_the_first_rule_that_fits_decides_and_groups_leave_it_open(rules, names):
    """
    Priority, exceptions and kinds of conditions as Microsoft has them; the default policy is for everybody else.
    """
    policies = (policy("Default", is_default=True), policy("A"), policy("B"))

    assert names == [found.name for found in policies_that_may_apply(policies, rules, {UPN})]
