"""The whole evidence of a case: complete, honest about what was not read, and without secrets or traps."""

from __future__ import annotations

import base64
import json
import random
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cards.language import Words, languages, messages
from cards.markdown import MAX_MESSAGE_BYTES, size_bytes
from cards.report import as_json, as_markdown
from cards.report import messages as report_messages
from cards.samples import JANE, NOW, hostile_case, sample_cases
from services.audit import GENESIS, AuditEntry, Tag, chained, note
from services.cases import (
    ActionState,
    Approval,
    ApprovalPurpose,
    ApprovalState,
    Case,
    CaseState,
    Finding,
    ScorePart,
    SignalState,
    UnknownReason,
    Verdict,
    VerdictLabel,
    say,
)
from services.investigation.table import table
from services.report import REDACTED, case_report, redacted, redacted_case
from tests.fakes.given import asked, case
from tests.fakes.people import MEGAN, actor

CASES = sample_cases()
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL2dyYXBoIn0.c2lnbmF0dXJl-_x"


def trail(*notes: tuple[Tag, dict[str, Any]], case_id: str = "C1") -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    for seq, (tag, details) in enumerate(notes, start=1):
        previous = entries[-1].hash if entries else GENESIS
        new = note(tag, case_id, actor(MEGAN), **details)
        entries.append(chained(new, seq=seq, at=NOW + timedelta(minutes=seq), previous_hash=previous))
    return entries


def judged(**fields: Any) -> Case:
    """Sign-ins added 40 of 60, the risk state could not be read, the inbox rules are still being read."""
    found = Finding(
        signal_id="sign_ins",
        state=SignalState.FOUND,
        summary=say("finding.sign_ins.travel", one="SE", other="NG", minutes=4),
        weight=40,
        read_at=NOW,
    )
    unread = Finding(
        signal_id="risk_state",
        state=SignalState.UNKNOWN,
        summary=say("unreadable.licence_named", licence="Entra ID P2"),
        unknown_reason=UnknownReason.LICENCE,
    )
    verdict = Verdict(
        label=VerdictLabel.SUSPECTED,
        score=40,
        completeness=0.61,
        checked=1,
        total=3,
        missing=("risk_state", "inbox_rules"),
        pending=("inbox_rules",),
        breakdown=(ScorePart(signal_id="sign_ins", points=40, weight=60),),
        compromised_from=60,
    )
    values = {"findings": (found, unread), "verdict": verdict, "reading_since": NOW, **fields}
    return asked().model_copy(update=values)


def signals_of(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {signal["id"]: signal for signal in report["signals"]}


# --- for machines ----------------------------------------------------------------------------------------------------


def test_the_report_has_what_the_contract_names():
    """Verdict, score and completeness, then signals, actions, approvals and the timeline."""
    report = case_report(judged(), trail((Tag.CASE_OPENED, {"query": "jane"})))

    assert ("suspected", 40, 0.61) == (report["verdict"], report["score"], report["completeness"])
    assert {"id", "state", "weight", "max_weight", "summary", "evidence", "reason"} <= report["signals"][0].keys()
    assert {"id", "target", "impact", "state", "undo_state", "optional", "outcome", "before"} <= report["actions"][
        0
    ].keys()
    assert {"id", "plan_hash", "approved", "approved_hash"} <= report["approvals"][0].keys()
    assert "requester:case:opened" == report["timeline"][0]["tag"]


def test_the_breakdown_adds_up_to_the_score():
    """What each signal added, and the most that it could have."""
    report = case_report(judged(), [])

    assert [{"id": "sign_ins", "weight": 40, "max_weight": 60}] == report["verdict_breakdown"]
    assert report["score"] == sum(signal["weight"] for signal in report["signals"])


def test_a_signal_that_is_still_being_read_is_unknown_and_pending():
    """It is never left out and never clear."""
    report = case_report(judged(), [])

    assert ("unknown", "pending") == (
        signals_of(report)["inbox_rules"]["state"],
        signals_of(report)["inbox_rules"]["reason"],
    )
    assert "licence" == signals_of(report)["risk_state"]["reason"]
    assert ["inbox_rules"] == report["pending"]


def test_before_the_verdict_every_signal_is_pending():
    """As soon as the reading has begun, all of them are listed."""
    report = case_report(case(state=CaseState.INVESTIGATING, reading_since=NOW), [])

    assert list(table().signals) == [signal["id"] for signal in report["signals"]] == report["pending"]


def test_what_nobody_read_before_the_end_is_unknown():
    """A case that was called off halfway does not wait for its signals any more."""
    report = case_report(case(state=CaseState.CANCELLED, reading_since=NOW), [])

    assert {"not_read"} == {signal["reason"] for signal in report["signals"]}
    assert [] == report["pending"]


def test_machines_get_words_with_every_text():
    """Each key comes with its parameters and with what it says in English."""
    report = as_json(judged(), [])
    summary = signals_of(report)["sign_ins"]["summary"]

    assert "finding.sign_ins.travel" == summary["key"]
    assert "Sign-ins from SE and NG, 4 minutes apart." == summary["text"]


@pytest.mark.parametrize("name", CASES)
def test_every_report_is_plain_json(name):
    """Whatever state a case is in, machines can read it back."""
    report = as_json(CASES[name], [])

    assert report == json.loads(json.dumps(report))


def code_of(told: list[str]) -> str:
    return "\n".join(message.removeprefix("```\n").removesuffix("\n```") for message in told)


@pytest.mark.parametrize("name", CASES)
def test_json_in_a_chat_is_the_same_document(name):
    """Put together from its code blocks it is what the command line writes."""
    assert as_json(CASES[name], []) == json.loads(code_of(report_messages(CASES[name], [], "json", "en")))


def test_json_in_a_chat_cannot_act():
    """Whatever names say, each message is small enough, holds no character that means something, and is JSON."""
    told = report_messages(hostile_case(), [], "json", "en")

    assert max(map(size_bytes, told)) <= MAX_MESSAGE_BYTES
    assert not re.search(r"[`<>&]", code_of(told))
    assert "K4P7Z9" == json.loads(code_of(told))["case_id"]


# --- without secrets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"newPassword": "Sommar2026!"}, {"newPassword": REDACTED}),
        ({"access_pass": {"value": "kx7-p2m"}}, {"access_pass": REDACTED}),
        ({"headers": [{"Authorization": "Basic abc"}]}, {"headers": [{"Authorization": REDACTED}]}),
        (f"Re: {JWT} please", f"Re: {REDACTED} please"),
        ("bearer abcdef123", f"bearer {REDACTED}"),
        ("https://example.com/?access_token=abc&x=1", f"https://example.com/?access_token={REDACTED}&x=1"),
        ("https://jane:hunter2@example.com", f"https://jane:{REDACTED}@example.com"),
        ("password: hunter2", f"password: {REDACTED}"),
        ("key abc8Q~Zq1xY.w-Rt5uV_7pLmN3kJhGfDsAqWeR", f"key {REDACTED}"),
        ("ya29.a0AfH6SMBxT9qPz3vK7uRr1LwYd", f"ya29.{REDACTED}"),
        ({"rule": "5f4dcc3b5aa765d61d8327deb882cf99"}, {"rule": REDACTED}),
    ],
)
def test_secrets_are_taken_out(value, left):
    """By the name that they stand under, and by how they look."""
    assert left == redacted(value)


@pytest.mark.parametrize(
    "value",
    [
        {"password_changed_at": "2026-11-24T03:12:00Z", "token_count": 3, "secret": None},
        {"plan_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
        {"rule_id": "AQMkAGI2TAAAJx5dZqA3fK9mPq7wB1cZ", "approved": ["disable_rule:3", "reset_password_on_premises"]},
        "8f2f4bd0-0f3a-4f0c-9d57-2f6c1a0d3001",
        "2001:0db8:85a3:0000:0000:8a2e:0370:7334 and 102.89.33.10",
        "jane.with.a.very.long.alias.A1b2C3d4E5f6G7h8@contoso.onmicrosoft.com",
        "Purchase-Order-2026-Confirmation",
        "User-PasswordProfile.ReadWrite.All",
        "Your password: act now",
        "EmailSendingLimitExceeded;ExternalRecipientCountToday=2871;",
    ],
)
def test_evidence_stays(value):
    """Ids, hashes, GUIDs, addresses, moments and words are what a report is for."""
    assert value == redacted(value)


def opaque(seed: int) -> str:
    return base64.urlsafe_b64encode(random.Random(seed).randbytes(33)).decode()


TOKENS = st.one_of(
    st.integers(0, 2**32).map(opaque),
    st.integers(0, 2**32).map(lambda seed: random.Random(seed).randbytes(20).hex()),
    st.integers(0, 2**32).map(lambda seed: f"eyJ{opaque(seed)[:20]}.eyJ{opaque(seed + 1)[:20]}.{opaque(seed + 2)}"),
)
WORDS = st.text(st.characters(categories=["Lu", "Ll", "Zs"]), max_size=12)
SURROUNDED = st.tuples(WORDS, WORDS)


def planted(text: str) -> tuple[Case, list[AuditEntry]]:
    """A case in which somebody has written this wherever anybody can write anything."""
    told = say("finding.inbox_rules.rule", rule=text, does=[say("finding.inbox_rules.moves_to", folder=text)])
    whole = judged()
    finding = whole.findings[0].model_copy(update={"evidence": (told,), "targets": ({"name": text},)})
    action = whole.actions[0].model_copy(
        update={"target": {"name": text}, "target_name": text, "before": {"note": [text]}, "reversible": True}
    )
    approval = whole.approvals[0].model_copy(update={"reason": text, "claim": text, "state": ApprovalState.GRANTED})
    changes = {
        "query": text,
        "subject": JANE.model_copy(update={"display_name": text, "job_title": text}),
        "requester": whole.requester.model_copy(update={"name": text}),
        "findings": (finding, *whole.findings[1:]),
        "actions": (action, *whole.actions[1:]),
        "approvals": (approval,),
        "outcome": say("outcome.denied_because", who=text, reason=text),
    }
    entries = trail((Tag.CASE_OPENED, {"query": text}), (Tag.APPROVAL_DENIED, {"reason": text, "more": {text: [text]}}))
    return whole.model_copy(update=changes), entries


@given(TOKENS, SURROUNDED)
@example(opaque(50564), ("", ""))  # letters alone, some of which read as words
def test_a_planted_token_never_survives(token, around):
    """In no field, in no format, whatever words stand around it."""
    whole, entries = planted(f"{around[0]} {token} {around[1]}")

    assert token not in json.dumps(case_report(whole, entries), ensure_ascii=False)
    assert token not in json.dumps(as_json(whole, entries), ensure_ascii=False)
    assert token not in as_markdown(whole, entries, "en").replace("\u2060", "")


@given(st.sampled_from(["password", "client_secret", "accessToken", "Set-Cookie", "claim", "tap_pass"]), st.text())
def test_a_value_that_is_named_a_secret_never_survives(name, value):
    """However short or plain it is."""
    kept = redacted({"before": [{name: "x" + value}]})

    assert {"before": [{name: REDACTED}]} == kept


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_redacting_twice_changes_nothing_more(value):
    """Any JSON value is taken, and what was redacted stays as it is."""
    assert redacted(redacted(value)) == redacted(value)


@pytest.mark.parametrize("name", CASES)
def test_an_ordinary_case_loses_nothing_but_its_claims(name):
    """Evidence without secrets is told as it was found."""

    def without_claims(case: Case) -> Case:
        prompts = tuple(prompt.model_copy(update={"claim": ""}) for prompt in case.approvals)
        return case.model_copy(update={"approvals": prompts})

    assert without_claims(CASES[name]) == without_claims(redacted_case(CASES[name]))


# --- as Markdown -----------------------------------------------------------------------------------------------------


def test_the_verdict_comes_with_how_it_came_about():
    """How much was checked, the score, and a table of what each check added."""
    text = as_markdown(judged(), [], "en")

    assert "## Verdict: Suspected" in text and "- Checked 1 of 3" in text
    assert "- Score 40. From 60 points on it counts as compromised." in text
    assert "| Sign-ins | 40 of 60 | Sign-ins from SE and NG, 4 minutes apart. |" in text


def test_what_was_not_read_stands_apart():
    """What could not be read with its reason, and what is still being read."""
    text = as_markdown(judged(), [], "en")
    unreadable = text.split("## What could not be read")[1].split("\n## The plan")[0]

    assert "- Entra risk state: The tenant has no licence for it: needs Entra ID P2." in unreadable
    assert "## Still being read\n\n- Inbox rules\n" in unreadable
    assert "never counts as good news" in unreadable


def test_an_approval_says_what_was_agreed_to():
    """Who, when, which actions, what was left out, and the hash of it."""
    left_out = judged().actions[1].model_copy(update={"state": ActionState.SKIPPED})
    granted = (
        judged()
        .approvals[0]
        .model_copy(
            update={
                "state": ApprovalState.GRANTED,
                "decided_by": actor(MEGAN),
                "decided_at": NOW,
                "approved": ("revoke_sessions", "unblock"),
                "approved_hash": "ab" * 32,
            }
        )
    )
    text = as_markdown(judged(approvals=(granted,)).with_action(left_out), [], "en")

    assert "- By Megan, 24 Nov 2026, 03:12 UTC" in text
    assert "- Agreed to: Sign out everywhere and Unblock" in text and "- Left out: Reset the password" in text
    assert f"- Hash of what was agreed to: {'ab' * 32}" in text


def test_a_reversible_action_tells_what_was_there_before():
    """And how far it is with being taken back."""
    before = {"reversible": True, "before": {"enabled": True}, "undo_state": ActionState.PROVEN}
    action = judged().actions[0].model_copy(update=before)

    text = as_markdown(judged().with_action(action), [], "en")

    assert "- Before: enabled: true" in text
    assert "- Taking it back: Proven" in text


def test_the_timeline_uses_words_and_names():
    """A tag that has words is told in them, an action by its label, and a tag of tomorrow as it is."""
    known = trail((Tag.ACTION_STARTED, {"action": "revoke_sessions"}))
    tomorrow = known[0].model_copy(update={"seq": 2, "tag": "moon:case:landed"})

    text = as_markdown(judged(), [*known, tomorrow], "en")

    assert "| Change started | Megan | action: Sign out everywhere |" in text
    assert "| moon:case:landed |" in text
    assert f"entry 2, with the hash {tomorrow.hash}" in text and "app.py audit verify" in text


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("name", CASES)
def test_every_case_has_a_report_in_every_language(name, language):
    """No text is missing: a key would stand there with its dots."""
    text = as_markdown(CASES[name], trail((Tag.CASE_OPENED, {})), language)

    assert text.startswith("# ") and not re.search(r"\b(report|audit|action|signal|outcome|finding)\.[a-z_]+\b", text)


@pytest.mark.parametrize("tag", Tag)
@pytest.mark.parametrize("language", languages())
def test_every_tag_of_the_trail_has_words(tag, language):
    """A new kind of entry without words would be told as a tag."""
    assert Words(language, strict=True).t(f"audit.{tag.value.replace(':', '.')}")


@pytest.mark.parametrize("purpose", ApprovalPurpose)
@pytest.mark.parametrize("language", languages())
def test_every_purpose_of_an_approval_has_a_name(purpose, language):
    """Headings of the report are complete."""
    assert f"report.purpose.{purpose.value}" in messages(language)


def test_what_outsiders_wrote_cannot_act():
    """No link, mention, code, emphasis or cell of a table comes out of a name."""
    whole, entries = planted("**[Pay](https://evil.example)** <at>Megan</at> | `x` | ~~y~~\n# heading")
    text = as_markdown(whole, entries, "en")

    assert not re.search(r"\*\*|\]\(|<at>|`|~~|://", text)
    assert [] == [line for line in text.splitlines() if line.startswith("# ") and not line.startswith("# Report on")]
    rows = [line for line in text.split("## Timeline")[1].splitlines() if line.startswith("|")]
    assert {6} == {row.count("|") for row in rows}


def test_a_hostile_case_stays_within_reason():
    """Names of any length give a report that can be sent."""
    assert size_bytes(as_markdown(hostile_case(), [], "en")) < 500_000


def test_approvals_are_told_without_their_claims():
    """A claim is what a button proves itself with."""
    prompt = Approval(
        prompt_id="p1", claim="Zk3vQ0cV8mXnB1tR", case_id="C1", plan_hash="0" * 64, asked_at=NOW, expires_at=NOW
    )
    whole = judged(approvals=(prompt,))

    assert "Zk3vQ0cV8mXnB1tR" not in json.dumps(as_json(whole, [])) + as_markdown(whole, [], "en")
