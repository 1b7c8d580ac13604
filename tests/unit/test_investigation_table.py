"""The data files hold together, and every text that is said exists in every language."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from cards.language import languages, messages
from services.cases import ActionKind, PreventionState
from services.containment import CATALOGUE
from services.investigation import signals
from services.investigation.run import SIGNALS
from services.investigation.signals.auth_methods import _NAMED
from services.investigation.table import parse_table, table, words

ROOT = Path(signals.__file__).parents[3]
SOURCES = (
    *(ROOT / "services" / "investigation").rglob("*.py"),
    *(ROOT / "services" / "containment").rglob("*.py"),
    *(ROOT / "services" / "prevention").rglob("*.py"),
)
ROW = '[verdict]\ncompromised_from = {high}\nsuspected_from = {low}\nleast_completeness = 0.5\nsource = "x"\n'


def test_every_file_is_a_signal_and_every_signal_a_file():
    """
    A row and a file belong together; neither can be forgotten.
    """
    files = {path.stem for path in Path(signals.__file__).parent.glob("*.py")} - {"__init__"}

    assert files == set(SIGNALS) == set(table().signals)


def test_the_entry_alone_cannot_make_an_account_suspected():
    """
    The rule of the house, kept in the numbers.
    """
    assert table().signals["restricted_entry"].weight < table().verdict.suspected_from


@pytest.mark.parametrize(
    "text",
    [
        ROW.format(high=20, low=30),
        ROW.format(high=60, low=25) + '[signals.x]\nweight = 0\nsource = "x"\n',
        ROW.format(high=60, low=25) + '[signals.x]\nweight = 5\nsource = ""\n',
        ROW.format(high=60, low=25) + '[signals.x]\nweight = 5\nsource = "x"\nwieght = 3\n',
        ROW.format(high=60, low=25) + '[signals.x]\nweight = 5\nsource = "x"\npoints = { a = -1 }\n',
        ROW.format(high=60, low=25),
    ],
)
def test_a_slip_in_the_weights_is_refused(text: str):
    """
    Numbers that make no sense, sources left out and misspelled names are errors at once.
    """
    with pytest.raises(ValidationError):
        parse_table(text)


def test_points_never_exceed_the_weight():
    """
    However much one signal sees, it adds at most its weight, and each kind of evidence counts once.
    """
    row = table().signals["sign_ins"]

    assert row.points_for(list(row.points)) == row.weight
    assert row.points_for(["travel", "travel"]) == row.points["travel"]


def test_words_are_compared_in_one_case():
    """
    What is looked up is casefolded, so the lists are as well.
    """
    assert "rss-prenumerationer" in words().folders.hides
    assert "anonymizedipaddress" in words().sign_ins.anonymous_events


def said_keys() -> set[str]:
    """Keys that the code says: literal ones, and those that are put together, spelled out."""
    found = {key for path in SOURCES for key in re.findall(r'say\(\s*"([a-z_A-Z.0-9]+)"', path.read_text("utf-8"))}
    return found | {
        *(f"finding.restricted_entry.limit_{kind}" for kind in ("external", "internal")),
        *(f"finding.risk_state.{level}" for level in ("high", "medium", "low")),
        *(f"finding.risk_state.{state}" for state in words().sign_ins.settled_states),
        *(f"finding.forwarding.{kind}" for kind in ("external", "unclear")),
        *(f"finding.inbox_rules.{kind}" for kind in ("deletes", "hidden", "everything", "marks_read")),
        *(f"auth_method.{kind}" for kind in _NAMED),
        *(f"finding.apps.{kind}" for kind in ("known_bad", "known_abused", "known_name")),
        *(f"finding.devices.{kind}" for kind in table().signals["devices"].points),
        *(f"finding.delegates.is_{kind}" for kind in table().signals["delegates"].points),
        *(f"finding.delegates.{kind}" for kind in ("full_access", "send_as", "send_on_behalf", "folder")),
        *(f"finding.shared_address.{kind}" for kind in table().signals["shared_address"].points),
        *(f"finding.sign_ins.{kind}" for kind in ("unusual", "unusual_managed")),
        *(f"signal.{signal_id}.label" for signal_id in SIGNALS),
        *(f"action.disable_rule.{kind}" for kind in ("proven", "gone")),
        *(f"action.{kind}.by_hand" for kind in ("revoke_sessions", "reset_password", "reset_password_on_premises")),
        *(f"prevention.mfa_everyone.{kind}" for kind in ("policy", "policy_with_exceptions")),
        *(
            f"prevention.{item}.{state}"
            for item in ("user_mfa", "unified_audit", "mailbox_audit")
            for state in (PreventionState.OK, PreventionState.OPEN)
        ),
        "unreadable.no_mailbox",
        "unreadable.not_there",
    }


@pytest.mark.parametrize("language", languages())
def test_everything_that_is_said_has_words(language: str):
    """
    No key is missing in any language.
    """
    assert said_keys() - set(messages(language)) == set()


@pytest.mark.parametrize("kind", list(ActionKind))
def test_every_kind_of_action_is_in_the_catalogue(kind: ActionKind):
    """
    Impact, reversibility and the permission are known for each.
    """
    assert CATALOGUE[kind].permission
