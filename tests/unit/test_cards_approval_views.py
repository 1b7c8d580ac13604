"""What a question shows to whoever looks at it, and what it says of those who have answered."""

from __future__ import annotations

import pytest

from cards import compose
from cards.language import Words
from cards.samples import NOW, sample_cases
from cards.views import View
from services.approvals import Viewer
from services.cases import Actor, Approval, ApprovalState, Case, CaseState, Vote, say

#: Two must agree; Megan Bowen and Lee Gu are asked, and Megan has approved.
ONE_OF_TWO = sample_cases()["one_of_two"]
MEGAN = ONE_OF_TWO.approvals[0].votes[0].by
LEE = Actor(user_oid="8f2f4bd0-0f3a-4f0c-9d57-2f6c1a0d2003", name="Lee Gu", tenant_id=MEGAN.tenant_id)


def asked(**more: object) -> tuple[Case, Approval]:
    """Jane's case, and its open question that nobody has answered yet."""
    question = ONE_OF_TWO.approvals[0].model_copy(update={"votes": (), **more})
    return ONE_OF_TWO.with_approval(question), question


def vote(by: Actor, *ticked: str) -> Vote:
    return Vote(by=by, granted=True, at=NOW, ticked=ticked)


def english(*texts: object) -> str:
    return " | ".join(Words("en", strict=True).plain(text) for text in texts)


def verbs(view: View) -> list[str]:
    return [button.verb for button in view.form.buttons] if view.form else []


@pytest.mark.parametrize(
    ("viewer", "pressed"),
    [
        (Viewer.APPROVER, ["approve", "deny", "dry_run", "remind"]),
        (Viewer.REQUESTER, ["cancel", "remind"]),
        (Viewer.BYSTANDER, []),
        (Viewer.CROWD, ["refresh"]),
    ],
)
def test_each_viewer_has_their_own_buttons(viewer, pressed):
    """
    Whatever is missing would be refused anyway.
    """
    assert pressed == verbs(compose.approval_prompt(*asked(), viewer))


@pytest.mark.parametrize("viewer", [Viewer.REQUESTER, Viewer.BYSTANDER, Viewer.CROWD])
def test_only_an_approver_gets_the_claim(viewer):
    """
    What others hold in their hands cannot answer the question.
    """
    case, question = asked()
    view = compose.approval_prompt(case, question, viewer)
    pressed = view.form.buttons if view.form else ()

    assert all(question.claim not in button.payload.values() for button in pressed)
    assert question.claim not in view.refresh.payload.values()


def test_an_answered_question_is_the_same_for_all_and_asks_for_nothing():
    """
    There is no view of one's own any more, so Teams need not ask for it.
    """
    case, question = asked(state=ApprovalState.DENIED, decided_by=MEGAN, decided_at=NOW)
    views = [compose.approval_prompt(case, question, viewer) for viewer in Viewer]

    assert all(view == views[0] for view in views)
    assert views[0].refresh is None


def test_the_count_names_who_has_approved_and_for_whom_it_waits():
    """
    Megan has, so the requester waits for Lee alone.
    """
    case, question = asked(votes=(vote(MEGAN),))

    assert "Waiting for Lee Gu. | 1 of 2 approved: Megan Bowen." == english(
        *compose.approval_prompt(case, question, Viewer.REQUESTER).count
    )


def test_a_voter_sees_their_own_answer_and_nobody_else_does():
    """
    On a card for one reader only.
    """
    case, question = asked(votes=(vote(MEGAN),))

    assert "You approved this" in english(*compose.approval_prompt(case, question, reader=MEGAN.user_oid.upper()).count)
    assert "You approved" not in english(*compose.approval_prompt(case, question, reader=LEE.user_oid).count)
    assert "You approved" not in english(*compose.approval_prompt(case, question).count)


def test_one_approver_is_not_counted():
    """
    The usual card stays as short as it was.
    """
    assert () == compose.approval_prompt(*asked(needed=1)).count


def test_an_approval_without_a_look_at_the_approvers_own_risk_says_so():
    """
    While the question is open and when it is over; whoever denies needs no look.
    """
    unread = (vote(MEGAN).model_copy(update={"risk_unread": True}),)
    case, question = asked(votes=unread)
    over = question.model_copy(update={"state": ApprovalState.GRANTED, "decided_by": MEGAN, "decided_at": NOW})
    said = "The own risk of an approver could not be checked: Megan Bowen."

    assert said in english(*compose.approval_prompt(case, question).count)
    assert said in english(*compose.approval_prompt(case.with_approval(over), over).answer)
    assert "own risk" not in english(*compose.approval_prompt(*asked(votes=(vote(MEGAN),))).count)


def test_an_escalated_question_says_to_whom():
    """
    And that those of before may still answer.
    """
    case, question = asked(level=1, asked_names=(LEE.name,))

    assert "Escalated to Lee Gu. Those who were asked before" in english(
        *compose.approval_prompt(case, question).asking
    )


def test_a_question_that_was_called_off_says_who_and_when():
    """
    The same as one that somebody has answered.
    """
    case, question = asked(state=ApprovalState.CANCELLED, decided_at=NOW)
    over = case.model_copy(
        update={"state": CaseState.CANCELLED, "outcome": say("outcome.cancelled", who="Alex Wilber")}
    )

    said = english(*compose.approval_prompt(over, question).answer)
    assert "Called off by Alex Wilber. | Ended 24 Nov 2026, 03:12 UTC." == said


def test_where_nobody_may_approve_there_is_no_such_button_and_the_card_says_why():
    """
    Denying is still possible, and needs no reason to be typed.
    """
    never = say("policy.never.protected", kind=say("policy.kind.break_glass"))
    view = compose.approval_prompt(*asked(never=never))

    assert ["deny", "dry_run", "remind"] == verbs(view)
    assert never in view.cautions and view.form.choices is None


def test_without_names_it_waits_for_the_on_call():
    """
    The directory did not answer; nobody is made up.
    """
    case, question = asked(needed=1, asked_names=())

    assert "Waiting for the on-call." == english(*compose.approval_prompt(case, question, Viewer.REQUESTER).count)


def test_the_boxes_are_ticked_as_the_last_approver_left_them():
    """
    And the text form of an approval takes the same; before any answer it takes what was proposed.
    """
    case, question = asked()
    left = question.model_copy(update={"votes": (vote(MEGAN, "a4"),)})

    assert ("a3", "a4", "a5") == compose.proposed_ticks(case, question)
    assert ("a4",) == compose.approval_prompt(case, left).form.choices.selected == compose.proposed_ticks(case, left)
    assert "The boxes are ticked as Megan Bowen left them" in english(*compose.approval_prompt(case, left).asking)


def test_the_checklist_says_the_same_in_one_line():
    """
    Who has approved and who has not; the requester can have them reminded from there.
    """
    view = compose.checklist(ONE_OF_TWO)

    assert "1 of 2 have approved: Megan Bowen. Waiting for Lee Gu." in english(*view.needed)
    assert "remind" in verbs(view)
