"""
How each state looks: its symbol, its word and its tone. Tables only; the tests ask for every member of every enum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cards.views import Mark, Tone
from services.cases import (
    ActionState,
    ApprovalState,
    CaseState,
    PreventionState,
    SignalState,
    VerdictLabel,
    say,
)
from services.investigation.table import table

#: The checks of an investigation, in the order in which people read them: that of their rows.
SIGNALS = tuple(table().signals)


class StepState(StrEnum):
    """How one of the three steps stands."""

    WAITING = "waiting"
    RUNNING = "running"
    NEEDS_PERSON = "needs_person"
    NEEDS_APPROVAL = "needs_approval"
    DONE = "done"
    LOCKED = "locked"
    OVERRIDDEN = "overridden"  # went on although not everything was proven
    FAILED = "failed"
    NOT_DONE = "not_done"
    NOT_NEEDED = "not_needed"


@dataclass(frozen=True)
class Face:
    """A symbol and the colour that it is drawn in, where there is colour."""

    symbol: str
    colour: str = "default"


@dataclass(frozen=True)
class CaseFace:
    """A case's tone and symbol, and where its three steps are."""

    tone: Tone
    symbol: str
    steps: tuple[StepState, StepState, StepState]


_WAITING, _RUNNING, _PERSON = StepState.WAITING, StepState.RUNNING, StepState.NEEDS_PERSON
_APPROVAL = StepState.NEEDS_APPROVAL
_DONE, _LOCKED, _FAILED = StepState.DONE, StepState.LOCKED, StepState.FAILED
_NOT_DONE, _NOT_NEEDED = StepState.NOT_DONE, StepState.NOT_NEEDED

CASES: Mapping[CaseState, CaseFace] = {
    CaseState.IDENTIFYING: CaseFace(Tone.ACCENT, "…", (_RUNNING, _WAITING, _WAITING)),
    CaseState.CHOOSING: CaseFace(Tone.WARNING, "!", (_PERSON, _WAITING, _WAITING)),
    CaseState.INVESTIGATING: CaseFace(Tone.ACCENT, "…", (_RUNNING, _WAITING, _WAITING)),
    CaseState.AWAITING_APPROVAL: CaseFace(Tone.WARNING, "!", (_APPROVAL, _WAITING, _WAITING)),
    CaseState.CONTAINING: CaseFace(Tone.ACCENT, "…", (_RUNNING, _LOCKED, _WAITING)),
    CaseState.LOCKED: CaseFace(Tone.ATTENTION, "✗", (_PERSON, _LOCKED, _WAITING)),
    CaseState.UNBLOCKING: CaseFace(Tone.ACCENT, "…", (_DONE, _RUNNING, _WAITING)),
    CaseState.VERIFYING: CaseFace(Tone.ACCENT, "…", (_DONE, _RUNNING, _WAITING)),
    CaseState.UNBLOCKED: CaseFace(Tone.GOOD, "✓", (_DONE, _DONE, _RUNNING)),
    CaseState.CLOSED: CaseFace(Tone.GOOD, "✓", (_DONE, _DONE, _RUNNING)),
    CaseState.CONTAINED: CaseFace(Tone.GOOD, "✓", (_DONE, _NOT_NEEDED, _RUNNING)),
    CaseState.NOT_CONTAINED: CaseFace(Tone.ATTENTION, "✗", (_FAILED, _NOT_NEEDED, _NOT_DONE)),
    CaseState.TRACKING: CaseFace(Tone.NEUTRAL, "○", (_NOT_NEEDED, _NOT_NEEDED, _RUNNING)),
    CaseState.NOT_UNBLOCKED: CaseFace(Tone.ATTENTION, "✗", (_DONE, _FAILED, _NOT_DONE)),
    CaseState.DENIED: CaseFace(Tone.ATTENTION, "✗", (_NOT_DONE, _NOT_DONE, _NOT_DONE)),
    CaseState.EXPIRED: CaseFace(Tone.WARNING, "–", (_NOT_DONE, _NOT_DONE, _NOT_DONE)),
    CaseState.CANCELLED: CaseFace(Tone.NEUTRAL, "–", (_NOT_DONE, _NOT_DONE, _NOT_DONE)),
    CaseState.NOTHING_TO_DO: CaseFace(Tone.NEUTRAL, "–", (_NOT_NEEDED, _NOT_NEEDED, _NOT_NEEDED)),
}

STEPS: Mapping[StepState, Face] = {
    StepState.WAITING: Face("○"),
    StepState.RUNNING: Face("…", "accent"),
    StepState.NEEDS_PERSON: Face("!", "warning"),
    StepState.NEEDS_APPROVAL: Face("!", "warning"),
    StepState.DONE: Face("✓", "good"),
    StepState.LOCKED: Face("⊘", "attention"),
    StepState.OVERRIDDEN: Face("⚠", "warning"),
    StepState.FAILED: Face("✗", "attention"),
    StepState.NOT_DONE: Face("–"),
    StepState.NOT_NEEDED: Face("–"),
}

SIGNAL_STATES: Mapping[SignalState, Face] = {
    SignalState.PENDING: Face("…"),
    SignalState.FOUND: Face("⚠", "attention"),
    SignalState.CLEAR: Face("✓", "good"),
    SignalState.UNKNOWN: Face("?", "warning"),
}

ACTION_STATES: Mapping[ActionState, Face] = {
    ActionState.PROPOSED: Face("○"),
    ActionState.RUNNING: Face("…", "accent"),
    ActionState.DONE: Face("…", "accent"),
    ActionState.PROVEN: Face("✓", "good"),
    ActionState.FAILED: Face("✗", "attention"),
    ActionState.SKIPPED: Face("–"),
    ActionState.WAITING_FOR_PERSON: Face("!", "warning"),
}

PREVENTION_STATES: Mapping[PreventionState, Face] = {
    PreventionState.OK: Face("✓", "good"),
    PreventionState.OPEN: Face("⚠", "warning"),
    PreventionState.UNKNOWN: Face("?", "warning"),
    PreventionState.TODO: Face("☐"),
    PreventionState.TICKED: Face("☑", "good"),
}

VERDICTS: Mapping[VerdictLabel, Tone] = {
    VerdictLabel.COMPROMISED: Tone.ATTENTION,
    VerdictLabel.SUSPECTED: Tone.WARNING,
    # Not green: no evidence is no proof of the opposite.
    VerdictLabel.NO_EVIDENCE: Tone.NEUTRAL,
}

APPROVALS: Mapping[ApprovalState, Tone] = {
    ApprovalState.PENDING: Tone.WARNING,
    ApprovalState.GRANTED: Tone.GOOD,
    ApprovalState.DENIED: Tone.ATTENTION,
    ApprovalState.EXPIRED: Tone.NEUTRAL,
    ApprovalState.CANCELLED: Tone.NEUTRAL,
    ApprovalState.SUPERSEDED: Tone.NEUTRAL,
}


def step_mark(state: StepState) -> Mark:
    """How a step in this state is marked."""
    return _mark("step_state", state, STEPS[state])


def signal_mark(state: SignalState) -> Mark:
    """How a check in this state is marked."""
    return _mark("signal_state", state, SIGNAL_STATES[state])


def action_mark(state: ActionState) -> Mark:
    """How an action in this state is marked."""
    return _mark("action_state", state, ACTION_STATES[state])


def prevention_mark(state: PreventionState) -> Mark:
    """How a prevention item in this state is marked."""
    return _mark("prevention_state", state, PREVENTION_STATES[state])


def case_mark(state: CaseState) -> Mark:
    """How a case in this state is marked in a list of cases."""
    return Mark(CASES[state].symbol, say(f"case_state.{state.value}.short"))


def _mark(prefix: str, state: StrEnum, face: Face) -> Mark:
    return Mark(face.symbol, say(f"{prefix}.{state.value}"), face.colour)
