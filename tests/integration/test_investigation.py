"""The investigation over HTTP: what the sandbox's people went through comes out as findings and a verdict."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cards.language import Words, languages
from services.cases import ActionKind, Case, Finding, PreventionState, SignalState, UnknownReason, VerdictLabel
from services.investigation.run import Investigation, signal_ids
from services.prevention import Prevention
from tests.fakes.sandboxed import Bench, open_bench

FOUND, CLEAR, UNKNOWN = SignalState.FOUND, SignalState.CLEAR, SignalState.UNKNOWN


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
async def bench(keys: Path) -> AsyncIterator[Bench]:
    async with open_bench(keys) as bench:
        yield bench


def by_id(case: Case) -> dict[str, Finding]:
    return {finding.signal_id: finding for finding in case.findings}


async def test_an_account_that_was_taken_over_is_compromised(bench: Bench):
    """
    Jane: everything is found, with names, addresses and times, in a mailbox whose folders are named in Swedish.
    """
    case = await bench.investigated("jane")
    found = by_id(case)

    classic = {"risk_state", "sign_ins", "inbox_rules", "forwarding", "oauth_grants", "auth_methods", "password_age"}
    assert classic <= {name for name, finding in found.items() if finding.state is FOUND}
    assert case.verdict is not None
    assert (case.verdict.label, case.verdict.completeness) == (VerdictLabel.COMPROMISED, 1.0)
    assert {target["name"] for target in found["inbox_rules"].targets} == {".", "sync"}
    assert "RSS-prenumerationer" in str(found["inbox_rules"].evidence)
    assert found["forwarding"].targets[0]["smtp_address"] == "collector.x91@mailbox-drop.example"
    assert [target["name"] for target in found["oauth_grants"].targets] == ["Mail Merge Pro"]
    assert "203.0.113.66" in str(found["sign_ins"].evidence)
    assert "SM-A155F" in str(found["auth_methods"].evidence)


@pytest.mark.parametrize("name", ["omar", "ines", "pia", "sven", "grace"])
async def test_people_who_just_sent_too_much_or_nothing_show_no_evidence(bench: Bench, name: str):
    """
    A bulk mailer, a quiet one, one with other addresses, a synced one and an admin: nothing of an attacker.
    """
    case = await bench.investigated(name)

    assert case.verdict is not None and case.verdict.label is VerdictLabel.NO_EVIDENCE
    assert case.verdict.missing == ()
    assert {action.kind for action in case.actions} <= {ActionKind.UNBLOCK}


async def test_the_plan_for_jane_changes_the_visible_rule_through_graph(bench: Bench):
    """
    Only the hidden rule goes through Exchange, with the warning.
    """
    case = await bench.investigated("jane")
    rules = {a.target_name: a for a in case.actions if a.kind is ActionKind.DISABLE_RULE}

    assert {name: action.target["through"] for name, action in rules.items()} == {".": "graph", "sync": "exchange"}
    assert rules["."].warning is None and rules["sync"].warning is not None


async def test_a_tenant_without_premium_licences_says_so(bench: Bench):
    """
    Risk and sign-ins are unknown for want of a licence; what remains still finds Jane's attacker.
    """
    bench.sandbox.tenant.licences.p1 = bench.sandbox.tenant.licences.p2 = False
    case = await bench.investigated("jane")
    found = by_id(case)

    assert found["risk_state"].unknown_reason is found["sign_ins"].unknown_reason is UnknownReason.LICENCE
    assert found["risk_state"].summary.params["licence"] == "Entra ID P2"
    assert case.verdict is not None and case.verdict.label is VerdictLabel.COMPROMISED
    assert {"risk_state", "sign_ins"} <= set(case.verdict.missing)


async def test_p1_alone_hides_the_risk_and_does_not_make_it_good(bench: Bench):
    """
    Sign-ins can be read, their risk is hidden, and Ines is not called free of risk.
    """
    bench.sandbox.tenant.licences.p2 = False
    found = by_id(await bench.investigated("ines"))

    assert found["risk_state"].unknown_reason is UnknownReason.LICENCE
    assert found["sign_ins"].evidence[0].key == "finding.sign_ins.risk_hidden"


async def test_a_permission_that_is_missing_is_named(bench: Bench):
    """
    The admin reads which permission to grant.
    """
    bench.sandbox.tenant.app.roles["https://graph.microsoft.com"].discard("UserAuthenticationMethod.Read.All")
    bench.sandbox.tenant.app.roles["https://graph.microsoft.com"].discard("UserAuthenticationMethod.ReadWrite.All")
    found = by_id(await bench.investigated("ines"))

    assert found["auth_methods"].unknown_reason is UnknownReason.PERMISSION
    assert found["auth_methods"].summary.params["permission"] == "UserAuthenticationMethod.Read.All"


async def test_an_account_without_a_mailbox_is_not_cleared(bench: Bench):
    """
    Nils has no mailbox and no sign-ins: too little to say "no evidence".
    """
    case = await bench.investigated("nils")
    found = by_id(case)

    assert found["inbox_rules"].summary.key == found["forwarding"].summary.key == "unreadable.no_mailbox"
    assert case.verdict is not None and case.verdict.label is VerdictLabel.SUSPECTED


@pytest.mark.parametrize("kind", ["unavailable", "broken_json", "drop_connection", "throttle_without_retry_after"])
@pytest.mark.parametrize("service", ["graph", "exchange"])
async def test_a_service_that_is_down_leaves_unknowns_and_no_good_news(bench: Bench, kind: str, service: str):
    """
    Whatever goes wrong with one of the services, nothing that depends on it is clear, and nothing raises.
    """
    case = await bench.case("ines")
    bench.fault(kind, service=service)

    async def nobody(finding: Finding) -> None:
        return None

    findings = await Investigation(bench.graph, bench.exchange, bench.clock).run(case, nobody)
    unknown = {finding.signal_id for finding in findings if finding.state is UNKNOWN}
    by_exchange = {"inbox_rules", "forwarding", "delegates", "mobile_devices", "legacy_protocols", "signature"}
    # Whether an attacker came through an open protocol, the sign-ins tell.
    by_graph = set(signal_ids()) - by_exchange - {"restricted_entry"} | {"legacy_protocols"}

    assert unknown == (by_exchange if service == "exchange" else by_graph)


async def test_one_slow_source_holds_nothing_back(bench: Bench):
    """
    While one cmdlet takes its time, everything else is told; the slow one ends as unknown when its time is up.
    """
    case, told = await bench.case("jane"), []
    slow = {"match": {"cmdlet": "Get-MobileDeviceStatistics"}, "kind": "slow", "seconds": 9.0, "times": -1}
    bench.sandbox.tenant.faults.add(slow)
    started = time.monotonic()

    async def on_finding(finding: Finding) -> None:
        told.append((finding.signal_id, time.monotonic() - started))

    await Investigation(bench.graph, bench.exchange, bench.clock, timeout_s=4.0).run(case, on_finding)

    assert told[-1][0] == "mobile_devices"
    assert all(after_s < 3.9 for signal_id, after_s in told if signal_id != "mobile_devices")


async def test_signals_run_at_the_same_time(bench: Bench):
    """
    With a fifth of a second for each of some twenty answers, all of it takes no longer than a few of them in a row.
    """
    case = await bench.case("jane")
    bench.sandbox.tenant.switches.latency_s = 0.2
    asked_before, started = len(bench.sandbox.journal.requests()), time.monotonic()

    async def nobody(finding: Finding) -> None:
        return None

    await Investigation(bench.graph, bench.exchange, bench.clock).run(case, nobody)
    answers = len(bench.sandbox.journal.requests()) - asked_before

    assert time.monotonic() - started < 0.5 * 0.2 * answers


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("name", ["jane", "omar", "nils"])
async def test_everything_that_is_told_has_words(bench: Bench, language: str, name: str):
    """
    Every summary, piece of evidence, reason, warning and prevention item can be said, with all of its parameters.
    """
    case = await bench.investigated(name)
    words = Words(language, strict=True)
    items = await Prevention(bench.graph, bench.exchange, bench.clock).check(case)
    texts = [t for f in case.findings for t in (f.summary, *f.evidence)]
    texts += [*(case.verdict.reasons if case.verdict else ()), *(item.summary for item in items)]
    texts += [action.warning for action in case.actions if action.warning]

    assert all(words.t(text) and "{" not in words.plain(text) for text in texts)


async def test_the_sandboxs_prevention_list_is_read_from_the_tenant(bench: Bench):
    """
    A weak tenant: what is missing is open, what is on is in place, and nothing is guessed.
    """
    prevention = Prevention(bench.graph, bench.exchange, bench.clock)
    items = {item.item_id: item for item in await prevention.check(await bench.case("jane"))}

    assert items["mfa_everyone"].summary.key == "prevention.mfa_everyone.report_only"
    assert {name for name, item in items.items() if item.state is PreventionState.OPEN} == {
        *("user_smtp_auth", "mfa_everyone", "admin_mfa", "legacy_auth", "conditional_access", "identity_protection"),
        *("few_admins", "outbound_policy", "auto_forwarding", "secure_score"),
    }
    assert items["unified_audit"].state is PreventionState.OK


async def test_an_investigation_changes_nothing(bench: Bench):
    """
    It only reads.
    """
    await asyncio.gather(bench.investigated("jane"), bench.investigated("omar"))

    assert bench.changes() == []
