"""The cards as JSON: valid, small, safe, the same as last time."""

from __future__ import annotations

import copy
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError
from jsonschema import Draft6Validator

from cards import compose
from cards.language import languages
from cards.lint import MAX_ACTIONS, MAX_REFRESH_USERS, problems
from cards.render import MAX_CARD_BYTES, TEMPLATES, _card_templates, render, size_bytes
from cards.samples import hostile_case, sample_cases, samples
from cards.views import Button, Tone
from services.cases import say

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = Path(__file__).parents[3] / "shared/data/schemas/adaptive-card-1.5.json"
SAMPLES = samples()
GOLDEN_CARDS = [
    ("pictures_jane", "en"),
    ("pictures_full", "sv"),
    ("approval_prompt_pending", "en"),
    ("approval_prompt_pending", "sv"),
    ("approval_prompt_own_vote", "en"),
    ("approval_prompt_requester", "sv"),
    ("approval_prompt_crowd", "en"),
    ("approval_prompt_never", "sv"),
    ("checklist_locked_may_override", "en"),
    ("checklist_unblocked", "sv"),
    ("choose_account", "en"),
    ("checklist_refused", "en"),
    ("prevention_overdue", "en"),
    ("prevention_organisation", "sv"),
    ("alert_restricted", "en"),
    ("alert_health", "sv"),
    ("alert_over", "sv"),
    ("alert_digest", "en"),
    ("alert_digest_second_page", "sv"),
    ("restricted_unread", "en"),
    ("weekly", "sv"),
    ("news_burst", "en"),
    ("news_nothing_delivered_refused", "sv"),
]


def elements(node) -> list[dict]:
    """Every object of a card that has a type."""
    if isinstance(node, list):
        return [element for item in node for element in elements(item)]
    if not isinstance(node, dict):
        return []
    own = [node] if "type" in node else []
    return own + [element for value in node.values() for element in elements(value)]


def without_charts(node):
    """The card as a client shows it that does not know charts."""
    if isinstance(node, list):
        return [without_charts(item) for item in node]
    if not isinstance(node, dict):
        return node
    if str(node.get("type", "")).startswith("Chart."):
        return without_charts(node["fallback"])
    return {name: without_charts(value) for name, value in node.items()}


def words_of(card: dict) -> list[str]:
    """Every string that is shown."""
    shown = ("text", "title", "label", "placeholder", "errorMessage", "fallbackText")
    choices = [choice["title"] for element in elements(card) for choice in element.get("choices", ())]
    return choices + [element[name] for element in elements(card) for name in shown if name in element]


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_passes_the_lint(name, language):
    """What the schema does not check holds for every card in every language."""
    assert [] == problems(render(SAMPLES[name], language, strict=True).card)


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_valid_against_the_official_schema(name, language):
    """Adaptive Card 1.5, once the Teams extras are set aside: in the place of a chart stands its fallback."""
    if not SCHEMA.exists():
        pytest.skip("the schema is not part of the repository")
    card = without_charts(render(SAMPLES[name], language, strict=True).card)
    card.pop("msteams")

    assert [] == [error.message for error in _validator().iter_errors(card)]


_VALIDATORS: list[Draft6Validator] = []


def _validator() -> Draft6Validator:
    if not _VALIDATORS:
        _VALIDATORS.append(Draft6Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))))
    return _VALIDATORS[0]


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_has_a_summary_for_the_notification(name, language):
    """One line, in the reader's language."""
    summary = render(SAMPLES[name], language, strict=True).summary

    assert summary
    assert "\n" not in summary


@pytest.mark.parametrize(("name", "language"), GOLDEN_CARDS)
def test_a_card_is_what_it_was(name, language):
    """
    A change of a card is seen in the diff of its golden file.

    After a wanted change: UNBLOCK_TEST_WRITE_GOLDEN=1 pytest tests/unit/test_cards_render.py
    """
    path = GOLDEN / f"{name}.{language}.json"
    card = render(SAMPLES[name], language, strict=True).card
    if os.environ.get("UNBLOCK_TEST_WRITE_GOLDEN"):
        path.write_text(json.dumps(card, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    assert json.loads(path.read_text(encoding="utf-8")) == card


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("name", ["checklist_hostile", "approval_prompt_hostile"])
def test_hostile_names_are_shown_as_text(name, language):
    """Markdown, mentions, html and template expressions in names do nothing on any card."""
    shown = " ".join(words_of(render(SAMPLES[name], language, strict=True).card))

    for markup in ("](", "**", "<at>", "</at>", "${", "{{", "https://", "`", "~~", "\u202e"):
        assert markup not in shown
    assert "Pay now" in shown


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(min_size=1), st.text(), st.text(max_size=400))
def test_no_name_breaks_a_card(name, rule, query):
    """Whatever people are called, the card is valid, harmless and has its buttons."""
    case = sample_cases()["awaiting_approval"]
    subject = case.subject.model_copy(update={"display_name": name, "job_title": query})
    actions = tuple(action.model_copy(update={"target_name": rule}) for action in case.actions)
    case = case.model_copy(update={"subject": subject, "actions": actions, "query": query})

    for view in (compose.approval_prompt(case, case.approvals[0]), compose.checklist(case)):
        card = render(view, "sv", strict=True).card
        assert [] == [problem for problem in problems(card) if "is empty" not in problem]
        json.dumps(card).encode("ascii")


def test_a_card_that_is_too_large_loses_details_and_keeps_the_decision():
    """Sixty rules with endless names fit, with the question, the verdict, the unblock and both buttons."""
    case = hostile_case()
    card = render(compose.approval_prompt(case, case.approvals[0]), "en").card
    text = " ".join(words_of(card))

    assert size_bytes(card) <= MAX_CARD_BYTES
    for kept in ("Compromised", "Checked 23 of 24", "Unblock jane@contoso.com", "Answer by", "Approve", "Deny"):
        assert kept in text
    assert re.search(r"\d+ more", text)


def test_every_button_is_an_execute_with_a_submit_for_old_clients():
    """Both carry the same data and verb, so that both end in the same command."""
    card = render(SAMPLES["approval_prompt_pending"], "en").card
    pressed = [element for element in elements(card["body"]) if element["type"] == "Action.Execute"]

    assert ["approve", "deny", "dry_run", "remind"] == [button["verb"] for button in pressed]
    for button in pressed:
        assert "Action.Submit" == button["fallback"]["type"]
        assert button["data"] == button["fallback"]["data"]
        assert button["verb"] == button["data"]["verb"]
    assert ["auto", "auto", "none", "none"] == [button["associatedInputs"] for button in pressed]


def test_the_words_of_the_buttons_are_a_contract():
    """People and tests look for these."""
    shown = {word for name in SAMPLES for word in words_of(render(SAMPLES[name], "en").card)}

    assert {"Approve", "Deny", "Cancel", "Refresh", "Override"} <= shown
    assert {"Compromised", "No evidence found", "Checked 23 of 24"} <= shown


def test_anybody_can_refresh_a_live_checklist():
    """The refresh names nobody, so that Teams offers it in the menu and asks nobody by itself."""
    refresh = render(SAMPLES["checklist_containing"], "en").card["refresh"]

    assert [] == refresh["userIds"]
    assert {"verb": "refresh", "case": "K4P7Z9"} == refresh["action"]["data"]


def test_a_closed_case_is_not_refreshed():
    """Nothing can change any more."""
    assert "refresh" not in render(SAMPLES["checklist_denied"], "en").card


def test_symbols_never_stand_without_a_word():
    """Colour and symbol are doubled by a word on the same line, for screen readers and for grey screens."""
    for language in languages():
        for element in elements(render(SAMPLES["checklist_containing"], language).card):
            if element["type"] == "ColumnSet":
                runs = element["columns"][1]["items"][0]["inlines"]
                assert runs[1]["text"].strip(" –")


def test_a_template_that_names_nothing_is_an_error():
    """An unknown name in a template raises, and does not become an empty place on a card."""
    with pytest.raises(UndefinedError):
        _card_templates().from_string('{"a": {{ view.nothing }}}').render({"view": SAMPLES["notice"]})


def test_no_value_breaks_out_of_its_place_in_a_template():
    """Quotes, braces and line ends in a value stay inside the JSON string."""
    hostile = '"}], "x": {{ 1 }} \\ \n </script>'
    rendered = _card_templates().from_string('{"a": {{ value }}}').render({"value": hostile})

    assert {"a": hostile} == json.loads(rendered)


def test_templates_have_no_way_round_the_literals():
    """The filters that would mark a value as safe are not there."""
    assert {} == _card_templates().filters


def test_every_view_has_its_folder_with_the_same_two_files():
    """One card, one folder, and no folder that no view uses."""
    used = {view.template for view in SAMPLES.values()}
    folders = {path.name for path in TEMPLATES.iterdir() if path.is_dir() and path.name != "_base"}

    assert used == folders
    for name in folders:
        assert {"card.json.j2", "summary.txt.j2"} == {path.name for path in (TEMPLATES / name).iterdir()}


# --- the lint itself -------------------------------------------------------------------------------------------------


def broken(change) -> list[str]:
    card = copy.deepcopy(render(SAMPLES["approval_prompt_pending"], "en").card)
    change(card)
    return problems(card)


def _first(card: dict, kind: str) -> dict:
    return next(element for element in elements(card["body"]) if element["type"] == kind)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda card: card.update(version="1.6"), "version"),
        (lambda card: card.pop("fallbackText"), "fallbackText"),
        (lambda card: card.update(refresh={"action": {}}), "userIds"),
        (lambda card: card.update(refresh={"userIds": ["x"] * (MAX_REFRESH_USERS + 1)}), "people"),
        (lambda card: card["body"].append({"type": "Image", "url": "https://x.example/x.png"}), "altText"),
        (lambda card: _first(card, "Input.Text").pop("label"), "label"),
        (lambda card: _first(card, "Input.Text").update(isRequired=True), "errorMessage"),
        (lambda card: _first(card, "Action.Execute").pop("title"), "title"),
        (lambda card: _first(card, "Action.Execute").pop("verb"), "verb"),
        (lambda card: _first(card, "Action.Execute").pop("fallback"), "Action.Submit"),
        (lambda card: _first(card, "Action.Execute").update(data={}), "data"),
        (lambda card: _first(card, "TextBlock").update(text="[a](https://x.example)"), "may act on"),
        (lambda card: _first(card, "TextBlock").update(text="<at>Megan</at>"), "may act on"),
        (lambda card: _first(card, "TextBlock").pop("wrap"), "wrap"),
        (lambda card: card["body"].append({"type": "TextBlock", "text": "x" * MAX_CARD_BYTES, "wrap": True}), "bytes"),
        (lambda card: card["body"].extend([{"type": "Container", "id": "a"}] * 2), "used 2 times"),
        (lambda card: card["body"].append({"type": "TextBlock", "text": ""}), "empty"),
    ],
)
def test_the_lint_finds(change, complaint):
    """Each fault that Teams minds and the schema does not is named in a sentence."""
    assert any(complaint in problem for problem in broken(change))


def test_the_lint_counts_buttons():
    """Teams shows six at most."""
    many = [Button("refresh", say("button.refresh"), {"case": "K4P7Z9"})] * (MAX_ACTIONS + 1)
    card = render(compose.notice(Tone.NEUTRAL, say("case_list.title"), buttons=many), "en").card

    assert any("buttons" in problem for problem in problems(card))
