"""The prevention list, step 3 of a checklist and the reminder: what they show of a case, before any template."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cards import compose, prevention
from cards.fit import LIMITS, fitted
from cards.language import Words
from cards.render import MAX_CARD_BYTES, render, size_bytes
from cards.samples import NOW, prevention_cases
from cards.views import PreventionView, Tone
from services.cases import ActionKind, ActionState, Case, CaseState, PreventionItem, PreventionState, Text, say
from services.prevention.catalogue import CATALOGUE, Scope
from services.tracking import with_defaults

CASES = prevention_cases()
ENGLISH = Words("en", strict=True)


def english(*texts: Text | None) -> str:
    return " ".join(ENGLISH.t(text) for text in texts if text)


def lines(view: PreventionView, title: str) -> list[str]:
    """What the part with this title says, a string for each line."""
    part = next(part for part in view.parts if title in english(part.title))
    return [english(i.line.label, i.line.mark.word, i.line.said, *i.line.details, *i.line.warnings) for i in part.items]


def account(*items: PreventionItem, **fields: object) -> Case:
    case = CASES["account"].model_copy(update=fields)
    return case.model_copy(update={"prevention": with_defaults(case, items)})


def item(item_id: str, state: PreventionState = PreventionState.OPEN, **fields: object) -> PreventionItem:
    return PreventionItem(item_id=item_id, state=state, summary=say("unreadable.permission"), **fields)


def test_every_open_item_has_its_owner_date_reason_and_page():
    """What, why, how checked, who, until when, and where Microsoft says so."""
    view = prevention.board(CASES["account"])

    listed = view.parts[0].items[0]
    assert "Alex Wilber, by 2026-12-01" in english(*listed.line.details)
    assert 2 == len(listed.why)
    assert listed.link.startswith("https://learn.microsoft.com/")


def test_what_is_overdue_is_said_first_and_in_red():
    """The card of the week after next tells who is late with what."""
    view = prevention.board(CASES["overdue"])

    assert (Tone.ATTENTION, "3 items are overdue.") == (view.tone, english(*view.needed))
    assert "Overdue since 2026-12-01: Alex Wilber" in english(*view.parts[0].items[0].line.warnings)


def test_what_is_in_place_is_one_line_and_a_tick_names_who():
    """A person's word and a reading are told apart."""
    told = lines(prevention.board(CASES["account"]), "in place")

    assert any("Alex Wilber, 24 Nov 2026" in line for line in told)
    assert 1 == sum(line.startswith("In place") for line in told)


def test_the_organisations_items_have_no_box_and_no_owner_on_an_accounts_list():
    """They are tracked on a list of their own."""
    view = prevention.board(CASES["account"])
    told, boxes = " ".join(lines(view, "organization")), {choice.value for choice in view.form.choices.choices}

    assert "Alex Wilber" not in told
    assert not [item_id for item_id in boxes if CATALOGUE[item_id].scope is Scope.TENANT]


def test_an_organisations_item_without_owner_asks_for_one():
    """It says so on top, and on its line with what it would bring; the date stands once for the whole phase."""
    view = prevention.board(CASES["organisation"])
    told = [line for part in view.parts for line in lines(view, english(part.title))]

    assert "no owner" in english(*view.needed)
    assert any("no owner" in line and "8 points in Secure Score" in line for line in told)
    assert all(", by 202" in english(part.title) for part in view.parts)


def test_unread_is_not_done():
    """While nothing was read, the card promises the list and is not green."""
    view = prevention.board(CASES["organisation_unread"])

    assert (Tone.ACCENT, ()) == (view.tone, view.parts)
    assert "Being checked now" in english(*view.needed)


def test_all_done_is_green_and_leaves_one_button():
    """Nothing to tick is left, but it can be checked again."""
    view = prevention.board(CASES["done"])

    assert (Tone.GOOD, None) == (view.tone, view.form.choices)
    assert ["prevention_check"] == [button.verb for button in view.form.buttons]


def test_not_done_after_all_is_offered_when_something_was_ticked():
    """Otherwise there is nothing to take back."""
    verbs = [button.verb for button in prevention.board(CASES["account"]).form.buttons]
    unticked = [button.verb for button in prevention.board(account(item("user_mfa"))).form.buttons]

    assert ["tick", "own", "untick", "explain", "prevention_check"] == verbs
    assert ["tick", "own", "explain", "prevention_check"] == unticked


def test_a_fix_is_offered_until_it_is_asked_for():
    """Then the list says that it waits for the on-call."""
    offered = [button.payload["item"] for button in prevention.board(CASES["organisation"]).fixes]
    asked = prevention.board(CASES["fix_asked"])

    assert "auto_forwarding" in offered
    assert "auto_forwarding" not in [button.payload["item"] for button in asked.fixes]
    assert any("Waits for the on-call" in line for line in lines(asked, "Changes"))


@pytest.mark.parametrize("state", [ActionState.RUNNING, ActionState.PROVEN, ActionState.FAILED])
def test_a_fix_shows_how_it_went(state):
    """Under way it is not offered again; failed, it is."""
    case = CASES["fix_asked"].model_copy(update={"approvals": ()})
    fix = case.fixes[0].model_copy(update={"state": state, "outcome": say("unreadable.fault")})
    view = prevention.board(case.model_copy(update={"fixes": (fix,)}))

    assert english(say(f"action_state.{state.value}")) in lines(view, "Changes")[0]
    offered = {button.payload["item"] for button in view.fixes}
    assert ("auto_forwarding" in offered) == (state is not ActionState.RUNNING)


def test_no_fix_is_offered_while_a_case_is_at_work():
    """The containment may be about the same setting."""
    busy = account(item("smtp_auth", fix=ActionKind.SMTP_AUTH_OFF), state=CaseState.CONTAINING)

    assert () == prevention.board(busy).fixes


# --- step 3 of a checklist -------------------------------------------------------------------------------------------


def test_step_three_names_what_comes_due_first_and_sums_up_the_organisation():
    """The account's open items with owner and date, and one line for everything else."""
    told = prevention.step_lines(CASES["account"])

    assert "Alex Wilber, by 2026-12-01" in english(*told[0].details)
    assert "4 of 8 open" in english(told[-1].mark.word)


def test_step_three_stays_short():
    """Five items, then how many more there are."""
    ids = [item_id for item_id, known in CATALOGUE.items() if known.scope is Scope.ACCOUNT]
    told = prevention.step_lines(account(*(item(item_id) for item_id in ids)))

    assert 6 == len(told)
    assert f"{len(ids) - 5} more" in english(told[-1].label)


def test_step_three_of_an_account_is_done_without_the_organisation():
    """A case does not wait for ever for what is tracked elsewhere."""
    done = account(item("user_mfa", PreventionState.OK), item("mfa_everyone"), state=CaseState.UNBLOCKED)

    assert "Done" == english(compose.checklist(done).steps[2].mark.word)


def test_step_three_is_empty_before_anything_was_read():
    """No list, no button to one."""
    assert ((), None) == (prevention.step_lines(account()), prevention.step_form(account()))


# --- the reminder ----------------------------------------------------------------------------------------------------


def test_a_reminder_names_what_is_late_first():
    """Only what is in this person's care."""
    other = CASES["overdue"].requester.model_copy(update={"user_oid": "somebody-else"})

    view = prevention.reminder(CASES["overdue"], CASES["overdue"].requester.user_oid)

    assert "4 prevention items are waiting for Alex Wilber" in english(view.headline)
    assert ["overdue", "overdue", "overdue", "by"] == [
        "overdue" if "overdue since" in english(line) else "by" for line in view.body
    ]
    assert Tone.GOOD is prevention.reminder(CASES["overdue"], other.user_oid).tone


def test_a_reminder_turns_green_when_all_is_done():
    """The posted card follows the case."""
    view = prevention.reminder(CASES["done"], CASES["done"].requester.user_oid)

    assert (Tone.GOOD, None) == (view.tone, view.form)


def test_what_nobody_takes_on_is_told_as_such():
    """On the organisation's list there is no requester to blame."""
    assert "have no owner" in english(prevention.reminder(CASES["organisation"], "").headline)


# --- size ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "sv"])
def test_the_longest_list_fits_and_names_every_item(language):
    """Explanations and lines may go, but a box never does: what is not shown could not be assigned."""
    rendered = render(prevention.board(CASES["organisation"]), language, strict=True).card
    choices = next(part for part in rendered["body"][-1]["items"] if part["type"] == "Input.ChoiceSet")["choices"]

    assert size_bytes(rendered) <= MAX_CARD_BYTES
    assert len(CASES["organisation"].prevention) == len(choices)


def test_a_long_list_gives_its_explanations_up_and_a_button_gives_them_back():
    """What was asked about is shown with its reason and its page, unfolded."""
    view = fitted(prevention.board(CASES["organisation"]), LIMITS[1])
    asked = fitted(prevention.explained(CASES["organisation"], ("unified_audit",)), LIMITS[1])

    assert () == view.more_ids
    assert (("more-unified_audit",), True) == (asked.more_ids, asked.unfolded)


def test_a_list_that_is_cut_says_so():
    """Each part tells how many lines it lost."""
    view = prevention.board(CASES["organisation"])
    many = replace(view, parts=tuple(replace(part, items=part.items * 12) for part in view.parts))

    last = fitted(many, LIMITS[-1]).parts[-1].items[-1]

    assert "more" in english(last.line.label)


def test_a_moment_later_is_not_overdue():
    """Due today is not late today."""
    case = CASES["account"]
    due_now = case.model_copy(update={"prevention": (item("user_mfa", due_at=NOW + timedelta(hours=1)),)})

    assert Tone.WARNING is prevention.board(due_now.model_copy(update={"changed_at": NOW})).tone
