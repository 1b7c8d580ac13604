"""The verdict: evidence makes it worse, what is unknown never makes it better."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cases import Finding, SignalState, UnknownReason, VerdictLabel, say
from services.investigation.run import signal_ids
from services.investigation.table import table
from services.investigation.verdict import decide

FOUND, CLEAR, UNKNOWN = SignalState.FOUND, SignalState.CLEAR, SignalState.UNKNOWN
COMPROMISED, SUSPECTED, NO_EVIDENCE = VerdictLabel.COMPROMISED, VerdictLabel.SUSPECTED, VerdictLabel.NO_EVIDENCE
#: From best to worst.
BADNESS = [NO_EVIDENCE, SUSPECTED, COMPROMISED]


def finding(signal_id: str, state: SignalState = CLEAR, weight: int = 0) -> Finding:
    reason = UnknownReason.FAULT if state is UNKNOWN else None
    return Finding(
        signal_id=signal_id, state=state, summary=say(f"x.{signal_id}"), weight=weight, unknown_reason=reason
    )


def all_clear(**found: int) -> list[Finding]:
    """Every signal clear, but for those found with their weights."""
    return [finding(name, FOUND if name in found else CLEAR, found.get(name, 0)) for name in signal_ids()]


def test_an_account_with_nothing_has_no_evidence():
    """
    Everything read, nothing there.
    """
    verdict = decide(all_clear())

    assert (verdict.label, verdict.score, verdict.completeness) == (NO_EVIDENCE, 0, 1.0)
    everything = len(signal_ids())
    assert (verdict.checked, verdict.total, verdict.missing) == (everything, everything, ())


def test_being_on_the_list_is_no_evidence():
    """
    Bulk mailers are on it too: the entry at its heaviest does not even make an account suspected.
    """
    assert decide(all_clear(restricted_entry=table().signals["restricted_entry"].weight)).label is NO_EVIDENCE


@pytest.mark.parametrize(
    ("found", "label"),
    [
        ({"inbox_rules": 60}, COMPROMISED),  # a hidden rule that forwards to outside
        ({"risk_state": 60}, COMPROMISED),  # confirmed by Microsoft or an admin
        ({"forwarding": 40}, SUSPECTED),
        ({"forwarding": 40, "sign_ins": 20}, COMPROMISED),
        ({"auth_methods": 25}, SUSPECTED),
        ({"password_age": 10, "restricted_entry": 10}, NO_EVIDENCE),
    ],
)
def test_evidence_adds_up(found: dict[str, int], label: VerdictLabel):
    """
    One strong piece is enough; weaker ones together are as well.
    """
    assert decide(all_clear(**found)).label is label


def test_reasons_come_heaviest_first():
    """
    The on-call reads what weighs most.
    """
    verdict = decide(all_clear(password_age=5, inbox_rules=60, forwarding=40))

    assert [reason.key for reason in verdict.reasons] == ["x.inbox_rules", "x.forwarding", "x.password_age"]


def test_the_score_can_be_followed_to_its_parts():
    """
    The breakdown names each signal with what it added and could have added, and sums up to the score.
    """
    verdict = decide(all_clear(password_age=5, inbox_rules=60, forwarding=40))

    assert [(part.signal_id, part.points) for part in verdict.breakdown] == [
        ("inbox_rules", 60),
        ("forwarding", 40),
        ("password_age", 5),
    ]
    assert sum(part.points for part in verdict.breakdown) == verdict.score
    assert verdict.breakdown[0].weight == table().signals["inbox_rules"].weight


def test_a_verdict_on_little_says_that_it_is_little():
    """
    From a quarter of the weights unread on, the approver has to say why the rest is enough.
    """
    half = [finding(name, CLEAR if number % 2 else UNKNOWN) for number, name in enumerate(signal_ids())]

    assert decide(half).low_completeness
    assert not decide(all_clear()).low_completeness


def test_too_little_read_is_suspected_and_says_so_first():
    """
    With nothing found and most of it unreadable, there is no "no evidence".
    """
    verdict = decide([finding("password_age"), *(finding(name, UNKNOWN) for name in signal_ids()[1:-1])])

    assert verdict.label is SUSPECTED
    assert verdict.reasons[0].key == "verdict.too_little_read"
    assert "sign_ins" in verdict.missing


def test_no_findings_at_all_is_suspected():
    """
    An investigation that brought nothing back has read nothing.
    """
    verdict = decide([])

    assert (verdict.label, verdict.completeness, verdict.checked) == (SUSPECTED, 0, 0)
    assert verdict.missing == signal_ids()


STATES = st.sampled_from([FOUND, CLEAR, UNKNOWN, SignalState.PENDING, None])
FINDINGS = st.fixed_dictionaries({name: st.tuples(STATES, st.integers(0, 60)) for name in signal_ids()})


def built(drawn: dict) -> list[Finding]:
    """Findings as drawn; None means that a signal has none. Only found ones weigh anything."""
    return [
        finding(name, state, weight if state is FOUND else 0)
        for name, (state, weight) in drawn.items()
        if state is not None
    ]


@given(FINDINGS, st.sampled_from(signal_ids()), st.integers(0, 60))
def test_more_evidence_never_makes_it_better(drawn: dict, name: str, more: int):
    """
    Whatever was known before, one more found signal lowers neither the score nor the label.
    """
    before = decide(built({**drawn, name: (None, 0)}))
    after = decide(built({**drawn, name: (FOUND, more)}))

    assert after.score >= before.score
    if before.label is not SUSPECTED or before.completeness >= table().verdict.least_completeness:
        assert BADNESS.index(after.label) >= BADNESS.index(before.label)


@given(FINDINGS, st.sampled_from(signal_ids()))
def test_unknown_never_raises_completeness_and_is_never_clear(drawn: dict, name: str):
    """
    A signal that becomes unreadable lowers completeness, is named as missing, and counts like one that is not there.
    """
    clear = decide(built({**drawn, name: (CLEAR, 0)}))
    unknown = decide(built({**drawn, name: (UNKNOWN, 0)}))
    absent = decide(built({**drawn, name: (None, 0)}))

    assert unknown.completeness < clear.completeness
    assert unknown.checked == clear.checked - 1
    assert name in unknown.missing and name not in clear.missing
    assert unknown == absent.model_copy(update={"pending": unknown.pending})
    assert name in absent.pending and name not in unknown.pending


@given(FINDINGS)
def test_unknown_never_makes_the_label_better(drawn: dict):
    """
    Turning clear signals into unknown ones can only make the label worse.
    """
    blinded = {name: (UNKNOWN, 0) if state is CLEAR else (state, weight) for name, (state, weight) in drawn.items()}

    assert BADNESS.index(decide(built(blinded)).label) >= BADNESS.index(decide(built(drawn)).label)


@given(FINDINGS)
def test_no_evidence_needs_most_of_it_read(drawn: dict):
    """
    The good verdict is never given below the least completeness.
    """
    verdict = decide(built(drawn))

    if verdict.label is NO_EVIDENCE:
        assert verdict.completeness >= table().verdict.least_completeness
    assert 0 <= verdict.completeness <= 1
    assert verdict.total == len(signal_ids()) == verdict.checked + len(verdict.missing)
