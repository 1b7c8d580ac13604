"""What is shown of a case: every state has its face, and the rules of what may be pressed where."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot import grammar
from bot.grammar import parse
from cards import compose, faces
from cards.faces import StepState
from cards.language import Words, languages
from cards.samples import JANE, NOW, hostile_case, sample_cases, samples
from cards.views import ApprovalView, Button, ChecklistView, Form, Tone, View
from services.cases import (
    CANCELLABLE_STATES,
    ActionKind,
    ActionState,
    Approval,
    ApprovalPurpose,
    ApprovalState,
    Block,
    BlockKind,
    CaseState,
    Impact,
    PreventionState,
    SignalState,
    UnknownReason,
    VerdictLabel,
    say,
)

CASES = sample_cases()
SAMPLES = samples()
WAITING = CASES["awaiting_approval"]


def prompt_of(state: ApprovalState, case=WAITING, **more) -> ApprovalView:
    approval = Approval(
        prompt_id="p1",
        claim="claim-1",
        case_id=case.case_id,
        plan_hash="0" * 64,
        state=state,
        asked_at=NOW,
        expires_at=NOW + timedelta(hours=1),
        **more,
    )
    return compose.approval_prompt(case, approval)


def forms(view: View) -> list[Form]:
    steps = view.steps if isinstance(view, ChecklistView) else ()
    return [form for form in (view.form, *(step.form for step in steps)) if form]


def buttons(view: View) -> dict[str, Button]:
    return {button.verb: button for form in forms(view) for button in form.buttons}


def english(*texts) -> str:
    return " ".join(Words("en", strict=True).plain(text) for text in texts if text)


# --- completeness ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("state", CaseState)
def test_every_state_of_a_case_has_a_face_and_its_words(state, language):
    """Headline, short word and what is needed now: in every language, for every state."""
    words = Words(language, strict=True)
    values = {"who": "Jane", "requester": "Alex"}

    assert faces.CASES[state].symbol
    for part in ("headline", "short", "needed"):
        assert words.t(f"case_state.{state.value}.{part}", **values)


@pytest.mark.parametrize(
    ("members", "key"),
    [
        (StepState, "step_state.{}"),
        (SignalState, "signal_state.{}"),
        (ActionState, "action_state.{}"),
        (PreventionState, "prevention_state.{}"),
        (UnknownReason, "unknown_reason.{}"),
        (VerdictLabel, "verdict.{}"),
        (Impact, "impact.{}"),
        (BlockKind, "block.{}"),
        (BlockKind, "block.{}.since"),
        (ActionKind, "action.{}.label"),
        (ActionKind, "action.{}.effect"),
        (ApprovalState, "approval_state.{}.headline"),
        (ApprovalState, "approval_state.{}.note"),
        (ApprovalPurpose, "approval_prompt.{}.headline"),
        (ApprovalPurpose, "approval_prompt.{}.question"),
    ],
)
@pytest.mark.parametrize("language", languages())
def test_every_member_of_every_enum_has_its_words(members, key, language):
    """A new state without words fails here and not on somebody's card."""
    known = {"target": "x", "since": NOW, "who": "x", "by": "x", "requester": "x", "upn": "x"}

    for member in members:
        assert Words(language, strict=True).t(key.format(member.value), **known)


@pytest.mark.parametrize(
    ("table", "members"),
    [
        (faces.STEPS, StepState),
        (faces.SIGNAL_STATES, SignalState),
        (faces.ACTION_STATES, ActionState),
        (faces.PREVENTION_STATES, PreventionState),
        (faces.VERDICTS, VerdictLabel),
        (faces.APPROVALS, ApprovalState),
        (faces.CASES, CaseState),
    ],
)
def test_every_member_has_a_symbol_or_tone(table, members):
    """The tables of faces are complete."""
    assert set(members) == set(table)


def test_the_samples_show_every_state():
    """What is looked at in the previews is everything that people can get to see."""
    assert set(CaseState) == {case.state for case in CASES.values()}
    assert {f"approval_prompt_{state.value}" for state in ApprovalState} <= SAMPLES.keys()


@pytest.mark.parametrize(
    ("purpose", "granted", "denied"),
    [
        (ApprovalPurpose.REMEDIATION, "Approved: unblock Jane Doe", "Denied: Jane Doe stays blocked"),
        (
            ApprovalPurpose.UNDO,
            "Approved: put back what was changed for Jane Doe",
            "Denied: nothing is put back for Jane Doe",
        ),
        (ApprovalPurpose.FIX, "Approved: change one setting for Jane Doe", "Denied: nothing is changed for Jane Doe"),
    ],
)
def test_an_answered_question_says_what_was_asked(purpose, granted, denied):
    """A yes to one setting, given long after the unblock, does not read as a yes to another unblock."""
    yes = prompt_of(ApprovalState.GRANTED, CASES["unblocked"], purpose=purpose)
    no = prompt_of(ApprovalState.DENIED, CASES["unblocked"], purpose=purpose)

    assert (granted, denied) == (english(yes.headline), english(no.headline))


def test_where_nothing_is_unblocked_the_question_does_not_say_unblock():
    """Securing an account that no list holds is asked as just that, and answered as that."""
    contained = CASES["contained"]

    headlines = [prompt_of(state, contained).headline for state in (ApprovalState.PENDING, ApprovalState.GRANTED)]

    assert "Secure Jane Doe? Approved: secure Jane Doe" == english(*headlines)


@pytest.mark.parametrize(
    ("state", "headline"),
    [
        (CaseState.CONTAINING, "Unblocking connector Scanner relay"),
        (CaseState.CLOSED, "Unblocked: connector Scanner relay"),
    ],
)
def test_a_connector_has_no_account_to_secure(state, headline):
    """What is done and what was done is said of the connector, in the words for one."""
    case = CASES["connector_closed"].model_copy(update={"state": state})

    assert headline == english(compose.checklist(case).headline)


# --- the checklist ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["identifying", "investigating"])
def test_the_three_steps_stand_there_from_the_beginning(name):
    """Before anything was read there are three steps."""
    assert 3 == len(compose.checklist(CASES[name]).steps)


def test_what_was_found_has_a_line_and_what_is_clear_or_still_being_read_shares_one():
    """Two dozen checks with a line each would hide the few that matter."""
    lines = compose.checklist(CASES["awaiting_approval_pending"]).steps[0].groups[0].lines

    assert ["found"] * 5 + ["unknown"] == [line.mark.word.key.partition(".")[2] for line in lines[:6]]
    assert "Clear" in english(lines[6].label)
    assert "Deleted mail" in english(lines[7].mark.word)
    assert 8 == len(lines)


def test_what_is_still_being_read_stands_with_the_verdict():
    """Who approves before a slow source has answered knows which one it is."""
    prompt = compose.approval_prompt(
        CASES["awaiting_approval_pending"], CASES["awaiting_approval_pending"].approvals[0]
    )

    assert "Still being read: Deleted mail" in english(prompt.verdict.pending)
    assert "Deleted mail" not in english(*prompt.unreadable)


def test_the_score_can_be_followed():
    """Each reason says what it has added, the heaviest first."""
    verdict = compose.checklist(WAITING).steps[0].verdict

    assert "+60: 2 rules hide or forward mail." == english(verdict.reasons[0])
    assert "Score 170." in english(verdict.score)


def test_only_what_may_be_left_out_has_a_box():
    """Ending the sessions and resetting the password are no matter of choice."""
    form = prompt_of(ApprovalState.PENDING).form

    assert ["a3", "a4", "a5"] == [choice.value for choice in form.choices.choices]
    assert ("a3", "a4", "a5") == form.choices.selected


def test_little_evidence_asks_for_a_reason():
    """With few checks read, saying yes takes a reason; saying no takes none."""
    prompt = compose.approval_prompt(
        CASES["awaiting_approval_no_evidence"], _only_prompt("awaiting_approval_no_evidence")
    )

    assert prompt.form.fields[0].required
    assert "Only 9 of 24 checks could be read" in english(*prompt.cautions)
    assert not buttons(prompt)["deny"].sends_inputs


def test_what_was_found_late_is_said_on_top():
    """Evidence that came in after the approval is nothing to be found at the bottom of a card."""
    view = compose.checklist(CASES["unblocked_found_late"])

    assert any("Deleted mail" in english(line) for line in view.needed)


def test_an_action_that_was_put_back_says_so():
    """The list of actions tells what is true now."""
    lines = compose.checklist(CASES["unblocked_put_back"]).steps[0].groups[1].lines

    assert "Could not be put back" == english(lines[2].mark.word)
    assert "Put back" == english(lines[3].mark.word)


def test_an_undo_has_a_box_for_each_change_and_its_refusal_takes_the_reason():
    """One rule can come back without the others, and the calls can be looked at before."""
    prompt = SAMPLES["approval_prompt_undo"]
    pressed = buttons(prompt)

    assert ("a3", "a4") == prompt.form.choices.selected
    assert {"approve", "deny", "dry_run", "remind"} == pressed.keys()
    assert pressed["deny"].sends_inputs and pressed["approve"].sends_inputs


def test_a_dry_run_says_what_is_only_done_when_it_is_ticked():
    """A call that is out of the plan unless somebody chooses it is no call that would be made."""
    block = WAITING.actions[0].model_copy(update={"action_id": "b", "optional": True, "ticked": False})
    case = WAITING.model_copy(update={"actions": (block, *WAITING.actions)})
    view = compose.dry_run(case, [("b", ("PATCH x",), None), ("a1", ("POST y",), None)])

    assert ["Only if it is ticked when the plan is approved."] == [
        english(call.note) for call in view.calls if call.note
    ]


def test_a_question_that_was_withdrawn_names_nobody():
    """A late finding has replaced it: no person has decided, and the card does not say "by somebody"."""
    settled = prompt_of(ApprovalState.SUPERSEDED, decided_at=NOW)

    assert "somebody" not in english(*settled.answer)


def _only_prompt(name):
    return CASES[name].approvals[0]


def test_the_headline_of_an_unblocked_case_says_so():
    """The last card says "unblocked" and nothing else on top."""
    view = compose.checklist(CASES["unblocked"])

    assert "Jane Doe is unblocked" == english(view.headline)
    assert Tone.GOOD is view.tone


def test_a_check_that_could_not_be_read_is_no_good_news():
    """Unknown is not clean: its mark differs from a clear one in symbol and word."""
    unknown, clear = faces.signal_mark(SignalState.UNKNOWN), faces.signal_mark(SignalState.CLEAR)

    assert unknown.symbol != clear.symbol
    assert english(unknown.word) != english(clear.word)


def test_no_evidence_is_never_green():
    """There is no verdict "clean", and a verdict from few checks says in words that it may be wrong."""
    step = compose.checklist(CASES["awaiting_approval_no_evidence"]).steps[0]

    assert Tone.WARNING is step.verdict.tone
    assert "may be wrong" in english(step.verdict.caution)
    assert "Checked 9 of 24" == english(step.verdict.completeness)


def test_a_locked_case_says_what_step_2_waits_for():
    """The actions that are not proven are named where the unblock is locked."""
    view = compose.checklist(CASES["locked"])

    assert "Locked until this is proven: Remove the access of the app “PDF Viewer Pro”" == english(
        view.steps[1].mark.word
    )


def test_override_is_offered_in_the_approvals_channel_alone():
    """Other copies of a locked checklist have no such button."""
    locked = CASES["locked"]

    assert "override" not in buttons(compose.checklist(locked))
    assert buttons(compose.checklist(locked, may_override=True))["override"].sends_inputs


@pytest.mark.parametrize("name", [name for name in CASES if name != "locked"])
def test_only_a_locked_case_can_be_overridden(name):
    """Whatever the channel, no other state has the button."""
    assert "override" not in buttons(compose.checklist(CASES[name], may_override=True))


def test_the_override_button_answers_the_open_question():
    """It carries the claim of the question whether to override, and without that question there is no button."""
    locked = CASES["locked"]
    unasked = locked.model_copy(update={"approvals": ()})

    assert {"verb": "override", "claim": locked.pending_approval.claim} == buttons(
        compose.checklist(locked, may_override=True)
    )["override"].payload
    assert "override" not in buttons(compose.checklist(unasked, may_override=True))


@pytest.mark.parametrize("name", CASES)
def test_cancel_is_offered_while_the_case_can_be_called_off(name):
    """The button is there exactly as long as the transitions allow it."""
    assert (CASES[name].state in CANCELLABLE_STATES) == ("cancel" in buttons(compose.checklist(CASES[name])))


def test_what_only_a_person_can_do_are_tick_boxes_with_one_button():
    """Four items need no four buttons; what is ticked goes along as `item`."""
    form = compose.checklist(CASES["unblocked"]).steps[2].form

    assert 4 == len(form.choices.choices)
    assert ("item", True) == (form.choices.input_id, form.choices.several)
    assert {"verb": "tick", "case": "K4P7Z9"} == form.buttons[0].payload


def test_an_override_stays_visible():
    """A case that was unblocked without proof says who decided that, and why."""
    step = compose.checklist(CASES["unblocked_overridden"]).steps[0]

    assert "Overridden" == english(step.mark.word)
    assert "Lee Gu" in english(*step.notes)
    assert "removed by hand" in english(*step.notes)


def test_a_cancelled_case_says_whether_anything_was_changed():
    """Called off before the approval, nothing was; called off while locked, something was."""
    before = compose.checklist(CASES["cancelled"])
    after = compose.checklist(CASES["locked"].moved(CaseState.CANCELLED, NOW))

    assert "The bot changed nothing." in english(*before.needed)
    assert "stays done" in english(*after.needed)


def test_a_lifted_block_is_told_in_the_past():
    """The card of an unblocked account does not claim that it is on the list."""
    assert "Was on the restricted list" in english(*compose.checklist(CASES["unblocked"]).facts)


# --- the approval prompt ---------------------------------------------------------------------------------------------


def test_the_prompt_asks_in_one_sentence():
    """Who asks, for whom, since when blocked."""
    view = prompt_of(ApprovalState.PENDING)

    assert (
        "Alex Wilber asks to secure and unblock Jane Doe (jane@contoso.com), blocked since 24 Nov 2026, 01:55 UTC."
        == english(view.question)
    )


def test_the_prompt_lists_exactly_the_actions_in_their_order():
    """What is approved is what is listed, the unblock last."""
    view = prompt_of(ApprovalState.PENDING)

    assert len(WAITING.actions) == len(view.actions)
    assert "Unblock jane@contoso.com" == english(view.actions[-1].label)


def test_the_prompt_tells_what_could_not_be_read_and_why():
    """A missing licence is named next to the check that it is missing for."""
    view = prompt_of(ApprovalState.PENDING)

    assert "needs a licence that the tenant does not have: Entra risk state" == english(*view.unreadable)


def test_an_open_prompt_has_approve_deny_and_a_look_at_the_calls():
    """Approve takes the boxes along, Deny the reason, and both carry the claim alone."""
    pressed = buttons(prompt_of(ApprovalState.PENDING))

    assert {"approve", "deny", "dry_run", "remind"} == pressed.keys()
    assert {"verb": "approve", "claim": "claim-1", "boxes": "yes"} == pressed["approve"].payload
    assert (True, True) == (pressed["approve"].sends_inputs, pressed["deny"].sends_inputs)


@pytest.mark.parametrize("state", [state for state in ApprovalState if state is not ApprovalState.PENDING])
def test_an_ended_prompt_has_no_buttons_and_says_how_it_ended(state):
    """Granted, denied, expired, cancelled, superseded: nothing left to press."""
    view = prompt_of(state)

    assert {} == buttons(view)
    assert view.deadline is None
    assert english(*view.answer)


def test_a_denied_prompt_says_who_when_and_why():
    """The answer is on the card for everybody who was asked."""
    by = WAITING.requester.model_copy(update={"name": "Megan Bowen"})
    view = prompt_of(ApprovalState.DENIED, decided_by=by, decided_at=NOW, reason="Call Jane first")

    assert "Megan Bowen, 24 Nov 2026, 03:12 UTC" in english(*view.answer)
    assert "Reason: Call Jane first" in english(*view.answer)


def test_an_override_prompt_asks_for_a_reason_and_names_what_is_not_proven():
    """Whoever overrides has to say why, and sees what the risk is; whoever refuses need not."""
    view = prompt_of(ApprovalState.PENDING, CASES["locked"], purpose=ApprovalPurpose.OVERRIDE)

    assert {"override", "deny", "remind"} == buttons(view).keys()
    assert view.form.fields[0].required
    assert not buttons(view)["deny"].sends_inputs
    assert "Remove the access of the app “PDF Viewer Pro” – Failed. Microsoft gave no" in english(*view.cautions)


# --- the small cards -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "said"),
    [(BlockKind.NONE, "The account is not blocked"), (BlockKind.UNTIL_TOMORROW, "ends by itself at midnight UTC")],
)
def test_a_case_that_only_contains_says_why_nothing_is_unblocked(kind, said):
    """A block for the day is there all the same."""
    case = CASES["contained"].model_copy(update={"block": Block(kind=kind)})

    assert said in english(compose.checklist(case).steps[1].mark.word)


def test_the_choice_is_by_object_id():
    """Names can be the same; what is chosen is an Entra object id."""
    view = compose.choose_account(CASES["choosing"])

    assert [subject.user_oid for subject in CASES["choosing"].candidates] == [
        choice.value for choice in view.form.choices.choices
    ]
    assert {"choose", "cancel"} == buttons(view).keys()


def test_too_many_accounts_are_cut_and_said():
    """A list of forty shows fifteen, and how to name one that is not among them."""
    crowd = CASES["choosing"].model_copy(update={"candidates": (JANE,) * 40})
    view = compose.choose_account(crowd)

    assert compose.MAX_CHOICES == len(view.form.choices.choices)
    assert "25 more are not shown" in english(view.hint)


def test_a_long_case_list_says_how_many_are_left_out():
    """Forty cases are fifteen lines and "25 more"."""
    view = compose.case_list([WAITING] * 40, say("case_list.title"))

    assert "25 more" == english(view.lines[-1].label)


@pytest.mark.parametrize("name", ["checklist_locked_may_override", "checklist_unblocked", "approval_prompt_pending"])
def test_a_refusal_is_the_current_card_with_the_reason_and_without_buttons(name):
    """Whoever may not press sees why, and what is true now."""
    view = compose.refusal(say("refusal.own_request"), SAMPLES[name])

    assert {} == buttons(view)
    assert say("refusal.own_request") == view.refused
    assert SAMPLES[name].headline == view.headline


def test_a_refusal_without_a_card_is_a_notice():
    """Somebody who may not even see the case gets the reason alone."""
    view = compose.refusal(say("refusal.guest"), None)

    assert "notice" == view.template
    assert (say("refusal.guest"),) == view.body


def test_help_says_so_when_somebody_may_not_request():
    """Those who may get no such line."""
    assert compose.help_card(True).note is None
    assert "not ask for an unblock" in english(compose.help_card(False).note)


#: What a button may name beside a case: whom to start with, and which item or connector is meant.
TARGETS = {"query", "connector", "item"}
#: On cards of alerts: which one, on which card and page it stands, and that somebody was asked whether they are sure.
OF_ALERTS = {"alert", "digest", "on", "page", "sure"}


@pytest.mark.parametrize("name", [name for name in SAMPLES if "hostile" not in name])
def test_buttons_carry_opaque_ids_only(name):
    """No name or decision travels in the data of a button; `start` names an account, as typing would."""
    for button in buttons(SAMPLES[name]).values():
        assert button.payload.keys() <= {"verb", "claim", "case", "prompt", "boxes"} | OF_ALERTS | TARGETS
        assert all("@" not in value for name, value in button.payload.items() if name not in TARGETS)


def test_a_hostile_case_still_has_its_decision():
    """Whatever names say, the prompt has its buttons."""
    case = hostile_case()

    assert {"approve", "deny", "dry_run", "remind"} == buttons(compose.approval_prompt(case, case.approvals[0])).keys()


@pytest.mark.parametrize("language", languages())
def test_the_commands_of_the_help_card_are_understood(language):
    """What the card tells people to type is what the bot understands, in their language."""
    words = Words(language, strict=True)
    understood = [type(parse(words.plain(entry.command))) for entry in compose.help_card(True).entries]

    assert not {grammar.Unknown, grammar.Incomplete} & set(understood)
    assert len(understood) == len(set(understood))
