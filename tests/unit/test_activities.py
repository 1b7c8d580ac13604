"""An activity becomes plain values, whatever its fields hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.activities import Incoming, Place, incoming, place_of, tenant_ids
from services.cases import Actor
from services.conversations import Conversation, ConversationKind
from tests.fakes.bot_service import FakeClock

BOT = {"id": "28:bot", "name": "Unblock"}


def activity(**changed):
    """A message from Alex in a channel, with these fields changed."""
    return {
        "type": "message",
        "id": "1700000000001",
        "channelId": "msteams",
        "serviceUrl": "https://smba.trafficmanager.net/emea/",
        "from": {"id": "29:alex", "name": "Alex", "aadObjectId": "OID-Alex"},
        "recipient": BOT,
        "conversation": {"id": "19:abc@thread.tacv2;messageid=17", "conversationType": "channel", "tenantId": "tenant"},
        "channelData": {
            "channel": {"id": "19:abc@thread.tacv2"},
            "team": {"id": "19:team"},
            "tenant": {"id": "tenant"},
        },
        "locale": "sv-SE",
        "text": "<at>Unblock</at> unblock jane",
        "entities": [{"type": "mention", "text": "<at>Unblock</at>", "mentioned": BOT}],
    } | changed


def clicked(value, **changed):
    return activity(type="invoke", name="adaptiveCard/action", replyToId="17", value=value, text=None, **changed)


def test_a_message_in_a_channel():
    """
    Who, where and what are read, and the bot's mention is not part of what was typed.
    """
    received = incoming(activity())

    assert ("message", "unblock jane", "sv-SE") == (received.kind, received.text, received.locale)
    assert Actor(user_oid="oid-alex", name="Alex", tenant_id="tenant") == received.actor
    assert ("channel", "19:abc@thread.tacv2", "19:team") == (
        received.conversation_kind,
        received.channel_id,
        received.team_id,
    )
    place = received.place
    assert ("19:abc@thread.tacv2;messageid=17", "28:bot") == (place.conversation_id, place.bot_id)
    assert "19:abc@thread.tacv2" == place.channel_root.conversation_id


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("<at>Unblock</at>&nbsp;unblock jane&nbsp;", "unblock jane"),
        ('<p><at>Unblock</at> unblock <at id="1">Jane Doe</at></p>', "unblock  Jane Doe"),
        ("unblock J&amp;J<br/>", "unblock J&J"),
        ("unblock &lt;at&gt;jane", "unblock <at>jane"),
        ("unblock ja\x00ne\ud800", "unblock jane"),
        (None, ""),
        (5, ""),
    ],
)
def test_markup_is_not_what_was_typed(text, plain):
    """
    Of other people's mentions the name stays; of Teams' HTML nothing does.
    """
    assert plain == incoming(activity(text=text)).text


def test_a_click_by_execute():
    """
    The verb comes from the action, the data has the inputs merged in, and a click is manual if nothing else is said.
    """
    action = {"type": "Action.Execute", "verb": "approve", "data": {"verb": "x", "claim": "c1", "reason": "ok"}}

    received = incoming(clicked({"action": action, "trigger": "manual"}))
    assert ("card_action", "execute", "approve", "manual") == (
        received.kind,
        received.via,
        received.verb,
        received.trigger,
    )
    assert ({"verb": "x", "claim": "c1", "reason": "ok"}, "17") == (received.data, received.reply_to_id)

    assert "automatic" == incoming(clicked({"action": action, "trigger": "automatic"})).trigger
    assert "manual" == incoming(clicked({"action": action})).trigger


def test_a_click_by_submit():
    """
    The fallback arrives as a message with a value, and is the same order.
    """
    received = incoming(activity(text="", value={"verb": "approve", "claim": "c1"}))

    assert ("card_action", "submit", "approve") == (received.kind, received.via, received.verb)
    assert {"verb": "approve", "claim": "c1"} == received.data


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"type": "installationUpdate", "action": "add"}, "installed"),
        ({"type": "installationUpdate", "action": "upgrade"}, "installed"),
        ({"type": "installationUpdate", "action": "add-upgrade"}, "installed"),
        ({"type": "installationUpdate", "action": "remove"}, "removed"),
        ({"type": "installationUpdate", "action": "remove-upgrade"}, "removed"),
        ({"type": "installationUpdate", "action": "dance"}, "other"),
        ({"type": "installationUpdate", "action": ["add"]}, "other"),
        ({"type": "conversationUpdate", "membersAdded": [{"id": "29:megan"}, BOT]}, "installed"),
        ({"type": "conversationUpdate", "membersRemoved": [BOT]}, "removed"),
        ({"type": "conversationUpdate", "channelData": {"eventType": "channelDeleted"}}, "channel_deleted"),
        ({"type": "conversationUpdate", "channelData": {"eventType": "teamDeleted"}}, "removed"),
        ({"type": "conversationUpdate", "channelData": {"eventType": "teamRestored"}}, "installed"),
        ({"type": "conversationUpdate", "channelData": {"eventType": "channelRenamed"}}, "other"),
        ({"type": "message", "channelData": {"eventType": "channelDeleted"}}, "message"),
        ({"type": "conversationUpdate", "membersAdded": [{"id": "29:megan"}]}, "other"),
        ({"type": "conversationUpdate", "membersAdded": {"id": "28:bot"}}, "other"),
        ({"type": "messageUpdate"}, "other"),
        ({"type": "invoke", "name": "composeExtension/query", "value": {"verb": "approve"}}, "other"),
        ({"value": {"verb": 5}}, "message"),
        ({"value": "approve"}, "message"),
    ],
)
def test_what_an_activity_is(changed, kind):
    """
    Only the bot's own coming and going counts; events that we do not know are nothing.
    """
    assert kind == incoming(activity(**changed)).kind


def test_an_installation_names_the_selected_channel():
    """
    When the bot is added to a team, the channel that was selected is known.
    """
    data = {"settings": {"selectedChannel": {"id": "19:chosen"}}, "team": {"id": "19:team"}}

    received = incoming(activity(type="installationUpdate", action="add", channelData=data))
    assert "19:chosen" == received.channel_id


@pytest.mark.parametrize("sender", [None, {}, {"id": "28:other-bot"}, {"id": "29:x", "aadObjectId": ["oid"]}, "29:x"])
def test_who_has_no_entra_account_is_nobody(sender):
    """
    Another bot or an anonymous guest has no object id and may do nothing.
    """
    assert incoming(activity(**{"from": sender})).actor is None


def test_somebody_from_another_tenant_keeps_that_tenant():
    """
    A shared channel holds people of other tenants; they must be recognisable.
    """
    sender = {"id": "29:eve", "aadObjectId": "oid-eve", "tenantId": "elsewhere"}

    assert "elsewhere" == incoming(activity(**{"from": sender})).actor.tenant_id


def test_every_tenant_that_is_named_counts():
    """
    A value of a wrong type does not pass as if it were missing.
    """
    assert ["tenant", "tenant"] == tenant_ids(activity())
    assert ["", "tenant"] == tenant_ids(activity(channelData={"tenant": {"id": 5}}))
    assert [] == tenant_ids({})


def test_a_stored_conversation_is_a_place():
    """
    What was stored about a conversation is enough to post there later.
    """
    stored = Conversation(
        conversation_id="a:1", kind=ConversationKind.PERSONAL, service_url="https://x/", tenant_id="t", bot_id="28:bot",
        seen_at=FakeClock().now(),
    )  # fmt: skip

    assert Place("https://x/", "a:1", "t", "personal", "28:bot") == place_of(stored)


def test_an_incomplete_activity_is_no_place():
    """
    Without an address nothing can be posted, and that is said.
    """
    with pytest.raises(ValueError):
        _ = incoming(activity(conversation={})).place


def test_deep_data_is_cut():
    """
    Data that is nested too deep is none of ours, and cannot exhaust the stack.
    """
    nested = {"verb": "approve"}
    for _ in range(900):
        nested = {"verb": "approve", "next": nested}

    assert "approve" == incoming(activity(value=nested)).verb


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [*activity(), "name", "action", "value", "membersAdded", "membersRemoved", "replyToId"]
PARTS = [
    "id",
    "name",
    "aadObjectId",
    "tenantId",
    "conversationType",
    "tenant",
    "channel",
    "settings",
    "action",
    "data",
    "verb",
]
ODD = st.one_of(JSON, st.dictionaries(st.sampled_from(PARTS), JSON, max_size=4))
TYPES = st.sampled_from(["message", "invoke", "installationUpdate", "conversationUpdate"]) | JSON


@given(st.dictionaries(st.sampled_from(FIELDS), ODD, max_size=6), TYPES)
def test_incoming_never_raises(changed, type_):
    """
    A field of any type, anywhere, gives an Incoming whose strings can be stored.
    """
    received = incoming(activity(**changed) | {"type": type_, "name": changed.get("name", "adaptiveCard/action")})

    assert isinstance(received, Incoming)
    assert "\x00" not in repr(received.data) + received.text
    f"{received.text}{received.verb}{received.mri}{received.data}".encode()
