"""Rules and forwarding: what sends mail out or keeps it from its owner is found, what people ordinarily do is not."""

import pytest

from services.cases import Finding, SignalState, Text
from services.clients.exchange_models import Forwarding, InboxRule, Mailbox, Recipient, parse_recipients
from services.clients.graph_models import MailRule
from services.errors import PermissionMissing, Unavailable
from tests.fakes.account import UPN, FakeAccount, look, rule

OUTSIDE = parse_recipients('"Collector" [SMTP:drop@evil.example]')
INSIDE = parse_recipients('"Alex" [SMTP:alex@contoso.com]; "Megan" [EX:/o=ExchangeLabs/cn=megan]')


async def rules_found(*rules: InboxRule, visible: tuple[MailRule, ...] = ()) -> Finding:
    return await look("inbox_rules", FakeAccount(rules=rules, visible_rules=visible))


def keys(finding: Finding) -> set[str]:
    """Every text key in the evidence, nested ones too."""
    found: set[str] = set()

    def walk(value: object) -> None:
        if isinstance(value, Text):
            found.add(value.key.rpartition(".")[2])
            for inner in value.params.values():
                walk(inner)
        if isinstance(value, list):
            for inner in value:
                walk(inner)

    for text in finding.evidence:
        walk(text)
    return found


@pytest.mark.parametrize(
    "suspicious",
    [
        {"forward_to": OUTSIDE},
        {"redirect_to": OUTSIDE},
        {"forward_as_attachment_to": OUTSIDE},
        {"forward_to": (Recipient(name="Somebody", raw="Somebody"),)},
        {"move_to_folder": f"{UPN}:\\RSS Subscriptions"},
        {"move_to_folder": f"{UPN}:\\RSS-prenumerationer"},
        {"move_to_folder": "Anteckningar"},
        {"move_to_folder": "Conversation History"},
        {"move_to_folder": "Notes", "name": "Team"},
        {"move_to_folder": "Arkiv", "mark_as_read": True},
        {"move_to_folder": "Junk Email", "subject_words": ("Password reset",)},
        {"delete_message": True, "subject_words": ("Faktura 12",)},
        {"delete_message": True, "from_words": ()},
        {"delete_message": True, "name": ".."},
        {"hidden": True},
        {"move_to_folder": "Projects", "name": ".", "from_words": ()},
    ],
)
async def test_what_hides_or_sends_out_mail_is_suspicious(suspicious: dict):
    """
    Each of these is found and proposed to be turned off, in whatever language the folder is named.
    """
    finding = await rules_found(rule(**suspicious))

    assert finding.state is SignalState.FOUND
    assert len(finding.targets) == 1


@pytest.mark.parametrize(
    "ordinary",
    [
        {},
        {"mark_as_read": True},
        {"move_to_folder": f"{UPN}:\\Projects", "mark_as_read": True},
        {"move_to_folder": "Invoices", "subject_words": ("invoice",), "from_words": ()},
        {"move_to_folder": "Archive"},
        {"delete_message": True},
        {"forward_to": INSIDE},
        {"name": "A", "move_to_folder": "Projects"},
        {"name": "Delegate Rule -8069403", "redirect_to": INSIDE, "from_words": ()},
        {"name": "Junk E-Mail Rule", "hidden": True, "move_to_folder": "Skräppost", "from_words": ()},
        {"name": "Microsoft.Exchange.OOF.KindExternal", "hidden": True, "from_words": ()},
        {
            "name": "Sent to the list",
            "move_to_folder": "Archive",
            "from_words": (),
            "description": "If the message: is",
        },
    ],
)
async def test_what_people_ordinarily_do_is_not_suspicious(ordinary: dict):
    """
    Tidying up, forwarding to colleagues and the rules that Exchange keeps itself are left alone.
    """
    finding = await rules_found(rule(**ordinary))

    assert finding.state is SignalState.CLEAR
    assert finding.targets == ()


@pytest.mark.parametrize("name", ["Junk E-Mail Rule", "Microsoft.Exchange.OOF.x", "Delegate Rule -1"])
async def test_a_name_of_exchanges_own_does_not_shield_a_rule(name: str):
    """
    Anybody may name a rule like one of Exchange's own; what it does counts.
    """
    assert (await rules_found(rule(name, forward_to=OUTSIDE, hidden=True))).state is SignalState.FOUND


async def test_a_hidden_rule_that_sends_mail_out_settles_it_alone():
    """
    Hidden and to outside is enough for "compromised".
    """
    assert (await rules_found(rule(hidden=True, forward_to=OUTSIDE))).weight == 60


async def test_evidence_names_rule_target_and_folder():
    """
    The approver reads which rule does what, with addresses and words.
    """
    finding = await rules_found(
        rule(".", hidden=True, forward_to=OUTSIDE, move_to_folder="Notes", subject_words=("bank",), mark_as_read=True)
    )

    assert finding.evidence[0].params["rule"] == "."
    assert {"forwards_to", "moves_to", "looks_for", "marks_read", "hidden"} <= keys(finding)
    assert "drop@evil.example" in str(finding.evidence)


async def test_a_visible_rule_is_to_be_changed_through_graph_and_a_hidden_one_through_exchange():
    """
    Only where there is no other way is the mailbox's set of Outlook-only rules put at risk.
    """
    shown, hidden = rule("a", 1, forward_to=OUTSIDE), rule("b", 2, forward_to=OUTSIDE, hidden=True)
    finding = await rules_found(
        shown, hidden, visible=(MailRule(rule_id=shown.graph_rule_id or "", name="a", conditions={"x": 1}),)
    )

    through = {target["name"]: target["graph_rule_id"] for target in finding.targets}
    assert through == {"a": shown.graph_rule_id, "b": None}
    assert {target["identity"] for target in finding.targets} == {shown.identity, hidden.identity}


async def test_a_visible_rule_is_also_known_by_its_name_and_place():
    """
    Should Microsoft spell ids in another way, a rule is still recognised if nothing else is like it.
    """
    finding = await rules_found(
        rule("a", 7, forward_to=OUTSIDE), visible=(MailRule(rule_id="odd", name="a", sequence=7),)
    )

    assert finding.targets[0]["graph_rule_id"] == "odd"


async def test_a_rule_that_is_off_tells_of_the_past():
    """
    It counts for less; there is nothing to turn off, which the target says.
    """
    finding = await rules_found(rule(enabled=False, forward_to=OUTSIDE))

    assert finding.weight == 17
    assert finding.targets[0]["enabled"] is False
    assert "is_off" in keys(finding)


async def test_without_exchange_visible_rules_still_count():
    """
    When Exchange refuses, what Graph shows is evidence, and the finding says what it could not see.
    """
    account = FakeAccount(
        rules=PermissionMissing("exchange"),
        visible_rules=(MailRule(rule_id="1", name="x", forward_to=("drop@evil.example",)),),
    )

    finding = await look("inbox_rules", account)

    assert finding.state is SignalState.FOUND
    assert finding.evidence[-1].key == "finding.inbox_rules.hidden_unread"
    assert finding.targets[0]["identity"] is None


async def test_a_rule_that_nobody_but_a_person_can_change_is_said():
    """
    Graph calls it read-only and Exchange cannot be asked: it stays a target, and the evidence says whose job it is.
    """
    read_only = MailRule(rule_id="1", name="x", forward_to=("drop@evil.example",), read_only=True)

    finding = await look("inbox_rules", FakeAccount(rules=PermissionMissing("exchange"), visible_rules=(read_only,)))

    assert (finding.targets[0]["identity"], finding.targets[0]["graph_rule_id"]) == (None, None)
    assert "by_hand" in keys(finding)


async def test_without_exchange_nothing_visible_is_no_good_news():
    """
    Hidden rules may be there, so the signal cannot be clear.
    """
    with pytest.raises(PermissionMissing):
        await look("inbox_rules", FakeAccount(rules=PermissionMissing("exchange")))


async def test_without_graph_exchange_is_enough():
    """
    Graph only tells how to change a visible rule; what is there, Exchange knows.
    """
    account = FakeAccount(rules=(rule(forward_to=OUTSIDE),), visible_rules=Unavailable("graph"))

    assert (await look("inbox_rules", account)).targets[0]["graph_rule_id"] is None


async def test_when_the_directory_is_unreadable_own_addresses_come_from_the_case():
    """
    Forwarding to a colleague stays inside though the account could not be read again.
    """
    account = FakeAccount(rules=(rule(forward_to=INSIDE),), user=Unavailable("graph"))

    assert (await look("inbox_rules", account)).state is SignalState.CLEAR


# --- forwarding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forwarding", "state", "text", "weight"),
    [
        (Forwarding(), SignalState.CLEAR, "none", 0),
        (Forwarding(smtp_address="megan@contoso.com"), SignalState.CLEAR, "inside", 0),
        (Forwarding(smtp_address="drop@evil.example"), SignalState.FOUND, "external", 40),
        (Forwarding(smtp_address="drop@evil.example", deliver_and_forward=True), SignalState.FOUND, "external", 40),
        (Forwarding(smtp_address="drop@evil.example", deliver_and_forward=False), SignalState.FOUND, "external", 45),
        (Forwarding(address="Some Contact"), SignalState.FOUND, "unclear", 10),
        (Forwarding(smtp_address="x@evil.example", address="megan@contoso.com"), SignalState.FOUND, "external", 40),
        (Forwarding(smtp_address="no address at all"), SignalState.FOUND, "unclear", 10),
    ],
)
async def test_forwarding_is_judged_by_where_it_leads(forwarding: Forwarding, state, text: str, weight: int):
    """
    Both fields count, the worse one decides, and what cannot be placed is not taken for harmless.
    """
    finding = await look("forwarding", FakeAccount(box=Mailbox(upn=UPN, forwarding=forwarding)))

    assert (finding.state, finding.summary.key, finding.weight) == (state, f"finding.forwarding.{text}", weight)


async def test_forwarding_keeps_what_was_there_for_the_plan():
    """
    The target holds both fields exactly, to be cleared and put back.
    """
    forwarding = Forwarding(smtp_address="drop@evil.example", deliver_and_forward=True)

    finding = await look("forwarding", FakeAccount(box=Mailbox(upn=UPN, forwarding=forwarding)))

    assert finding.targets == (forwarding.model_dump(),)
