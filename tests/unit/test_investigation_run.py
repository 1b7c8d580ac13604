"""All signals are read at once, each ends as a finding, and none of them as good news by accident."""

import asyncio

import pytest

from services.cases import Finding, SignalState, UnknownReason, say
from services.errors import (
    BrokenAnswer,
    LicenceMissing,
    NotFound,
    PermissionMissing,
    Rejected,
    ServiceError,
    StoreError,
    Throttled,
    Unavailable,
    WrongState,
)
from services.investigation.run import SIGNALS, Investigation, signal_ids
from tests.fakes.account import NOW, FakeAccount, blocked
from tests.fakes.clock import FakeClock

#: What cannot be read -> the signals that cannot do without it. Each read stands alone.
NEEDED_BY = {
    "user": {"password_age"},
    "risky": {"risk_state"},
    "detections": set(),
    "sign_in_log": {"sign_ins", "sign_ins_background", "shared_address"},
    "background_log": {"sign_ins_background", "shared_address"},
    "visible_rules": set(),
    "rules": {"inbox_rules"},
    "grants": {"oauth_grants"},
    "tenant_grants": {"oauth_grants"},
    "assignments": {"app_assignments"},
    "methods": {"auth_methods"},
    "devices": {"devices"},
    "roles": {"admin_roles"},
    "audit_log": {"admin_roles", "password_age", "profile_changes"},
    "box": {"forwarding", "delegates"},
    "mailbox_rights": {"delegates"},
    "send_as_rights": {"delegates"},
    "folder_rights": {"delegates"},
    "partnerships": {"mobile_devices"},
    "protocols": {"legacy_protocols"},
    "records": {"deleted_mail", "mailbox_audit"},
    "trace_log": {"sent_mail", "sent_copies", "scam_text"},
    "folders": {"sent_copies", "scam_text"},
    "alert_log": {"alerts"},
    "signature": {"signature"},
}


def unreadable(*reads: str, error: ServiceError) -> FakeAccount:
    """An account of which these reads fail; folders fail one by one."""
    folders = ("sentitems", "deleteditems", "Inbox", "Calendar")
    by_folder = {"folders", "folder_rights"}
    return FakeAccount(**{name: dict.fromkeys(folders, error) if name in by_folder else error for name in reads})


def investigation(account: FakeAccount, **more: object) -> Investigation:
    return Investigation(account, account, FakeClock(NOW), **more)


async def run(account: FakeAccount, **more: object) -> dict[str, Finding]:
    async def nobody(finding: Finding) -> None:
        return None

    findings = await investigation(account, **more).run(blocked(), nobody)
    return {finding.signal_id: finding for finding in findings}


async def test_an_ordinary_account_is_read_in_full_and_shows_nothing_but_the_block():
    """
    Every signal is read, and of an account with ordinary habits only the entry on the list is found.
    """
    findings = await run(FakeAccount())

    assert list(findings) == list(signal_ids())
    assert {name for name, finding in findings.items() if finding.state is SignalState.FOUND} == {"restricted_entry"}
    assert {name for name, finding in findings.items() if finding.state is SignalState.UNKNOWN} == set()
    assert all(finding.read_at == NOW for finding in findings.values())


@pytest.mark.parametrize(
    ("error", "reason", "text"),
    [
        (LicenceMissing("graph"), UnknownReason.LICENCE, "unreadable.licence"),
        (PermissionMissing("graph", permission="X"), UnknownReason.PERMISSION, "unreadable.permission"),
        (PermissionMissing("graph"), UnknownReason.PERMISSION, "unreadable.permission"),
        (Throttled("graph", 5), UnknownReason.THROTTLED, "unreadable.throttled"),
        (NotFound("exchange"), UnknownReason.NOT_APPLICABLE, "unreadable.no_mailbox"),
        (NotFound("graph"), UnknownReason.NOT_APPLICABLE, "unreadable.not_there"),
        (Unavailable("graph"), UnknownReason.FAULT, "unreadable.fault"),
        (Rejected("graph", "X", "no"), UnknownReason.FAULT, "unreadable.rejected"),
        (BrokenAnswer("graph", what="id"), UnknownReason.FAULT, "unreadable.fault"),
    ],
)
async def test_what_cannot_be_read_is_unknown_and_says_why(error: ServiceError, reason: UnknownReason, text: str):
    """
    Whatever keeps the services from answering, no signal raises and none is clear.
    """
    findings = await run(unreadable(*NEEDED_BY, error=error))

    read_nothing = [finding for name, finding in findings.items() if name != "restricted_entry"]
    assert {finding.state for finding in read_nothing} == {SignalState.UNKNOWN}
    assert {finding.unknown_reason for finding in read_nothing} == {reason}
    assert all(finding.summary.key.startswith(text) for finding in read_nothing)


@pytest.mark.parametrize("name", NEEDED_BY)
async def test_one_source_that_fails_leaves_the_others_alone(name: str):
    """
    A single failing read spoils the signals that need it, never the rest.
    """
    findings = await run(unreadable(name, error=Unavailable("graph")))

    unknown = {signal_id for signal_id, finding in findings.items() if finding.state is SignalState.UNKNOWN}
    assert unknown == NEEDED_BY[name]


async def test_a_fault_of_ours_is_logged_and_unknown():
    """
    A bug in one signal is a fault of that signal: unknown, not clear, and no exception.
    """

    async def broken(evidence: object, row: object) -> Finding:
        raise ZeroDivisionError

    findings = await run(FakeAccount(), signals={**SIGNALS, "forwarding": broken})

    assert findings["forwarding"].state is SignalState.UNKNOWN
    assert findings["forwarding"].summary == say("unreadable.our_fault")
    assert findings["sign_ins"].state is SignalState.CLEAR


async def test_a_signal_that_takes_too_long_is_unknown():
    """
    A source that never answers ends as unknown after the time given; the others are not held up.
    """
    account = FakeAccount()
    account.hold["mailbox"] = asyncio.Event()

    findings = await run(account, timeout_s=0.05)

    assert findings["forwarding"].unknown_reason is UnknownReason.FAULT
    assert findings["forwarding"].summary.key == "unreadable.timeout"
    assert findings["inbox_rules"].state is SignalState.CLEAR


async def test_each_finding_is_told_as_soon_as_it_is_there():
    """
    A slow source does not hold back what was found elsewhere.
    """
    account, told = FakeAccount(), []
    account.hold["registered_devices"] = asyncio.Event()

    async def on_finding(finding: Finding) -> None:
        told.append(finding.signal_id)
        if len(told) == len(SIGNALS) - 1:
            account.hold["registered_devices"].set()

    await investigation(account).run(blocked(), on_finding)

    assert told[-1] == "devices"
    assert sorted(told) == sorted(SIGNALS)


async def test_findings_are_told_one_at_a_time():
    """
    Whoever stores the findings is never called twice at once.
    """
    running = 0

    async def on_finding(finding: Finding) -> None:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        running -= 1

    assert len(await investigation(FakeAccount()).run(blocked(), on_finding)) == len(SIGNALS)


async def test_what_several_signals_need_is_read_once():
    """
    The account, its logs and its mailbox are read once, however many signals look at them.
    """
    account = FakeAccount()

    await run(account)

    once = ("get_user", "sign_ins", "background_sign_ins", "mailbox", "audit_records", "message_traces")
    assert {name: account.calls[name] for name in once} == dict.fromkeys(once, 1)
    assert account.calls["directory_audits"] == 2  # of the account, and of everybody's consents to apps


async def test_a_fault_of_the_store_ends_the_investigation():
    """
    What the listener raises is not swallowed, and nothing goes on reading behind it.
    """
    account = FakeAccount()
    account.hold["mailbox"] = asyncio.Event()

    async def on_finding(finding: Finding) -> None:
        raise StoreError

    with pytest.raises(StoreError):
        await investigation(account).run(blocked(), on_finding)


async def test_a_case_without_an_account_is_refused():
    """
    There is nothing to investigate before it is known whose account it is.
    """
    with pytest.raises(WrongState):
        await run_without_subject()


async def run_without_subject() -> None:
    async def nobody(finding: Finding) -> None:
        return None

    await investigation(FakeAccount()).run(blocked(subject=None), nobody)


async def test_a_signal_that_gives_up_does_not_take_shared_reads_from_others():
    """
    Two signals wait for the account; the wait of one ends, and the other still gets its answer.
    """
    account = FakeAccount()
    held = account.hold["get_user"] = asyncio.Event()

    async def impatient(evidence, row) -> Finding:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await evidence.user()
        held.set()
        return row.clear(say("finding.forwarding.none"))

    findings = await run(account, signals={"forwarding": impatient, "password_age": SIGNALS["password_age"]})

    assert findings["password_age"].state is SignalState.CLEAR
    assert account.calls["get_user"] == 1
