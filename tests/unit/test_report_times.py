"""How long it took from the block to each thing that came of it, in the report for machines and for people."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from cards.report import as_markdown, as_text
from services.audit import GENESIS, AuditEntry, Tag, chained, note
from services.cases import (
    ActionState,
    ApprovalState,
    Block,
    BlockKind,
    Case,
    CaseKind,
    CaseState,
    FollowUp,
    Pictures,
    ScoreMark,
    Text,
)
from services.report import case_report, milestones
from tests.fakes.given import NOW, PLAN, asked
from tests.fakes.people import JANE, MEGAN, actor

BLOCKED_AT = NOW - timedelta(hours=2)


def trail(*notes: tuple[Tag, datetime, dict[str, Any]]) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    for seq, (tag, at, details) in enumerate(notes, start=1):
        previous = entries[-1].hash if entries else GENESIS
        entries.append(chained(note(tag, "C1", None, **details), seq=seq, at=at, previous_hash=previous))
    return entries


def minutes(n: float) -> datetime:
    """After the case was opened."""
    return NOW + timedelta(minutes=n)


TRAIL = trail(
    (Tag.ACTION_PROVEN, minutes(16), {"action": "revoke_sessions"}),
    (Tag.ACTION_PROVEN, minutes(18), {"action": "reset_password"}),
    (Tag.UNBLOCK_VERIFIED, minutes(19), {"sender_address": JANE.upn}),
    (Tag.ACTION_PROVEN, minutes(500), {"action": "a_fix_of_later"}),
)


def done(**fields: Any) -> Case:
    """Jane's case after it went well: blocked two hours before it was opened, approved after fourteen minutes."""
    case = asked()
    granted = case.approvals[0].model_copy(
        update={"state": ApprovalState.GRANTED, "decided_by": actor(MEGAN), "decided_at": minutes(14)}
    )
    follow = FollowUp(
        unblocked_at=minutes(19),
        next_look_at=minutes(60),
        unguarded_until=minutes(900),
        escalate_at=minutes(1459),
        first_delivered_at=minutes(44),
    )
    values = {
        "state": CaseState.UNBLOCKED,
        "block": Block(kind=BlockKind.RESTRICTED, sender_address=JANE.upn, since=BLOCKED_AT),
        "actions": tuple(action.model_copy(update={"state": ActionState.PROVEN}) for action in PLAN),
        "follow_up": follow,
        "approvals": (granted,),
    }
    return case.model_copy(update={**values, **fields})


def times(case: Case, entries: list[AuditEntry] = TRAIL) -> dict[str, Any]:
    return milestones(case, entries)


def told(case: Case, entries: list[AuditEntry] = TRAIL, language: str = "en") -> str:
    return as_text(case, entries, language)


def test_each_milestone_has_its_moment_and_its_seconds_since_the_block():
    """
    Containment is when the last of its actions was proven; a change of later is none of them.
    """
    assert {
        "block": 0,
        "alert": None,
        "request": 7200,
        "approval": 8040,
        "containment": 8280,
        "unblock": 8340,
        "first_delivered": 9840,
    } == {name: milestone["seconds"] for name, milestone in times(done()).items()}
    assert minutes(14).isoformat() == times(done())["approval"]["at"]


def test_people_read_it_as_hours_and_minutes():
    """
    In the text for a terminal and in the Markdown, in their language.
    """
    assert "Block to approval: 2 h 14 min (24 Nov 2026, 03:14 UTC)" in told(done())
    assert "Block to first delivered mail: 2 h 44 min" in as_markdown(done(), TRAIL, "en")
    assert "Från blockering till godkännande: 2 h 14 min" in as_markdown(done(), TRAIL, "sv")


@pytest.mark.parametrize(
    ("after", "words"),
    [(timedelta(seconds=40), "40 s"), (timedelta(minutes=9), "9 min"), (timedelta(days=1, hours=4), "1 d 4 h")],
)
def test_short_and_long_times_have_their_units(after: timedelta, words: str):
    """
    Two of them at most.
    """
    block = done().block.model_copy(update={"since": NOW - after})

    assert f"Block to request: {words} (" in told(done(block=block))


def test_what_nobody_knows_is_not_known():
    """
    No alert was heard of, and without a look at the trace no delivered mail.
    """
    unread = done().follow_up.model_copy(
        update={"first_delivered_at": None, "unread": Text(key="unreadable.throttled")}
    )

    assert "Block to alert: not known" in told(done())
    assert "Block to first delivered mail: not known" in told(done(follow_up=unread))


def test_what_did_not_happen_is_told_from_what_is_not_known():
    """
    Nobody has approved yet, nothing is proven, and nothing is unblocked.
    """
    waiting = asked()

    assert "Block to approval: not so far" in told(waiting, [])
    assert "Block to unblock: not so far" in told(waiting, [])
    assert times(waiting, [])["containment"] == {"at": None, "seconds": None}


def test_containment_counts_only_when_all_of_it_is_proven():
    """
    One action that failed keeps it open, whatever was proven before.
    """
    failed = tuple(a.model_copy(update={"state": ActionState.FAILED}) if a is PLAN[1] else a for a in PLAN)

    assert times(done(actions=failed))["containment"]["at"] is None


def test_without_a_known_beginning_there_are_moments_and_no_durations():
    """
    Microsoft does not always say since when an account is blocked.
    """
    case = done(block=done().block.model_copy(update={"since": None}))

    assert {None} == {milestone["seconds"] for milestone in times(case).values()}
    assert "Block to approval: 24 Nov 2026, 03:14 UTC, and how long after the block is not known" in told(case)


def test_the_list_of_the_tenant_has_no_times():
    """
    Nothing was blocked there.
    """
    assert "Block to" not in told(done(kind=CaseKind.TENANT, state=CaseState.TRACKING))


def test_machines_get_what_was_seen_since_and_what_was_drawn():
    """
    Follow-up, fixes, diagnosis and pictures stand in the report as plain values.
    """
    drawn = Pictures(scores=(ScoreMark(at=NOW, score=47, maximum=120),))
    report = case_report(done(pictures=drawn, fixes=PLAN[:1]), TRAIL)

    assert minutes(44).isoformat() == datetime.fromisoformat(report["follow_up"]["first_delivered_at"]).isoformat()
    assert (47, ["revoke_sessions"]) == (report["pictures"]["scores"][0]["score"], [f["id"] for f in report["fixes"]])
    assert report["diagnosis"] is None
    assert 8040 == report["times"]["approval"]["seconds"]
