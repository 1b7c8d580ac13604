"""What the bot posts arrives once, at Teams' pace, and its token goes to Teams alone."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.activities import Place
from bot.connector import (
    READING,
    SENDING,
    Connector,
    CopyGone,
    Member,
    Pacer,
    PlaceGone,
    ServiceHosts,
    TooLarge,
    Turnstile,
    Uncertain,
    refuses_us,
    retry_after_s,
)
from services.errors import Rejected, ServiceError, Throttled, Unavailable
from services.settings import MICROSOFT_SERVICE_HOSTS
from tests.fakes.teams import FakeTeams

CARD = {"type": "AdaptiveCard", "version": "1.5", "body": []}
THREAD = "19:abc@thread.tacv2;messageid=1700000000000"


class FakeTime:
    """Seconds that pass only by sleeping."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.seconds += seconds


@pytest.fixture
async def teams():
    teams = FakeTeams()
    await teams.start()
    yield teams
    await teams.stop()


@pytest.fixture
def time():
    return FakeTime()


@pytest.fixture
def connector(teams, time):
    return connector_for(teams, time, teams.host)


def connector_for(teams: FakeTeams, time: FakeTime, *hosts: str) -> Connector:
    async def token() -> str:
        return "the-token"

    pacer = Pacer(time.now, time.sleep)
    return Connector(teams.session, token, ServiceHosts(hosts), pacer=pacer, sleep=time.sleep, jitter=lambda: 1.0)


@pytest.fixture
def place(teams):
    return Place(teams.service_url, THREAD, "tenant", "channel", "28:bot", "Unblock")


async def test_a_card_is_posted_alone(teams, connector, place):
    """
    A post holds the card and the notification line, never a text beside the card, and both ids come back.
    """
    sent = await connector.send(place, CARD, summary="Case AB12")

    (heard,) = teams.heard
    assert ("POST", "Bearer the-token") == (heard.method, heard.authorization)
    assert heard.path == "/emea/v3/conversations/19%3Aabc%40thread.tacv2%3Bmessageid%3D1700000000000/activities"
    assert CARD == heard.body["attachments"][0]["content"]
    assert ("Case AB12", None) == (heard.body["summary"], heard.body.get("text"))
    assert (THREAD, "1700000000001") == (sent.conversation_id, sent.activity_id)


async def test_a_text_is_posted_as_plain_text(teams, connector, place):
    """
    Names inside a text cannot act as Markdown.
    """
    await connector.send(place, None, text="Nothing called **jane**")

    assert ("plain", "Nothing called **jane**") == (teams.heard[0].body["textFormat"], teams.heard[0].body["text"])


@pytest.mark.parametrize(("card", "text"), [(CARD, "also"), (None, None)])
async def test_text_and_card_together_is_a_mistake_of_ours(teams, connector, place, card, text):
    """
    Teams would split them into two messages that can never be edited.
    """
    with pytest.raises(ValueError):
        await connector.send(place, card, text=text)

    assert [] == teams.heard


async def test_an_edit_replaces_the_message(teams, connector, place):
    """
    An update is a PUT on the message's own address.
    """
    await connector.update(place, "17/..?x", CARD, summary="Case AB12")

    assert "PUT" == teams.heard[0].method
    assert teams.heard[0].path.endswith("/activities/17%2F..%3Fx")


async def test_a_thread_starts_in_the_channel(teams, connector, place):
    """
    A new thread is a new conversation in the channel, not an answer in the thread we were asked from.
    """
    teams.script = [(201, {"id": "19:abc@thread.tacv2;messageid=42", "activityId": "42"}, {})]

    sent = await connector.start_thread(place, CARD, summary="Alert")

    body = teams.heard[0].body
    assert "/emea/v3/conversations" == teams.heard[0].path
    assert (True, "19:abc@thread.tacv2") == (body["isGroup"], body["channelData"]["channel"]["id"])
    assert ("tenant", {"id": "28:bot"}, CARD) == (
        body["tenantId"],
        body["bot"],
        body["activity"]["attachments"][0]["content"],
    )
    assert ("19:abc@thread.tacv2;messageid=42", "42") == (sent.conversation_id, sent.activity_id)


async def test_a_personal_chat_is_opened(teams, connector):
    """
    A chat with a person is made from their id, and can be posted to.
    """
    place = await connector.create_personal(teams.service_url, "tenant", "28:bot", "29:megan")

    body = teams.heard[0].body
    assert (False, [{"id": "29:megan"}]) == (body["isGroup"], body["members"])
    assert ("personal", "1700000000001") == (place.kind, place.conversation_id)


async def test_members_are_read_page_by_page(teams, connector, place):
    """
    Every page is read, and people without an id are left out.
    """
    megan = {"id": "29:megan", "aadObjectId": "oid-megan", "name": "Megan", "tenantId": "tenant"}
    teams.script = [
        (200, {"members": [megan, {"name": "nobody"}, 5], "continuationToken": "a&b"}, {}),
        (200, {"members": [{"id": "29:sam", "objectId": "oid-sam"}]}, {}),
    ]

    members = await connector.members(place)

    assert (Member("29:megan", "oid-megan", "Megan", "tenant"), Member("29:sam", "oid-sam", "", None)) == members
    assert "19%3Aabc%40thread.tacv2/pagedmembers" in teams.heard[0].path
    assert "continuationToken=a%26b" in teams.heard[1].path


# --- the token -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["send", "update", "start_thread", "create_personal", "members"])
async def test_the_token_goes_to_listed_hosts_only(teams, time, place, call):
    """
    Every call checks the host before a token is made, since a stored address may be older than the list.
    """
    connector = connector_for(teams, time, "smba.trafficmanager.net")
    calls = {
        "send": lambda: connector.send(place, CARD),
        "update": lambda: connector.update(place, "1", CARD),
        "start_thread": lambda: connector.start_thread(place, CARD),
        "create_personal": lambda: connector.create_personal(place.service_url, "tenant", "28:bot", "29:x"),
        "members": lambda: connector.members(place),
    }

    with pytest.raises(Rejected):
        await calls[call]()

    assert [] == teams.heard


async def test_a_redirect_is_not_followed(teams, connector, place):
    """
    A redirect would carry the token to a host that nobody checked.
    """
    teams.answers(307, Location=f"https://{teams.host}/elsewhere")

    with pytest.raises(Rejected):
        await connector.send(place, CARD)

    assert 1 == len(teams.heard)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://smba.trafficmanager.net/emea/", True),
        ("https://SMBA.trafficmanager.net", True),
        ("https://smba.trafficmanager.net:443/", True),
        ("https://smba.infra.gcc.teams.microsoft.com/", True),
        ("http://smba.trafficmanager.net/", False),
        ("https://smba.trafficmanager.net:8443/", True),
        ("https://smba.trafficmanager.net./", False),
        ("https://trafficmanager.net/", False),
        ("https://evilsmba.trafficmanager.net/", False),
        ("https://smba.trafficmanager.net.evil.example/", False),
        ("https://smba.trafficmanager.net@evil.example/", False),
        ("https://user@smba.trafficmanager.net/", False),
        ("https://evil.example/smba.trafficmanager.net", False),
        ("https://evil.example#.teams.microsoft.com", False),
        ("https://evil.example?.teams.microsoft.com", False),
        ("https://evil.example\\.teams.microsoft.com", False),
        ("https://teams.microsoft.com/?x=1", False),
        ("//teams.microsoft.com/", False),
        ("https://", False),
        ("", False),
        ("https://[::1/", False),
    ],
)
def test_only_teams_own_hosts_are_teams(url, allowed):
    """
    The list holds hosts and their subdomains, on https.
    """
    assert allowed == ServiceHosts(MICROSOFT_SERVICE_HOSTS).allows(url)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:3981/teams", True),
        ("http://localhost:3981/", True),
        ("https://127.0.0.1:3981/", True),
        ("http://127.0.0.1:3982/", False),
        ("http://10.0.0.1:3981/", False),
        ("http://127.0.0.1:3981@evil.example/", False),
    ],
)
def test_plain_http_is_for_a_listed_port_of_this_machine(url, allowed):
    """
    A test tenant on loopback needs no certificate; nothing that leaves the machine goes without one.
    """
    hosts = ServiceHosts(("127.0.0.1:3981", "localhost", "10.0.0.1"))

    assert allowed == hosts.allows(url)
    assert not ServiceHosts(MICROSOFT_SERVICE_HOSTS).allows(url)


def test_an_entry_with_a_port_wants_that_port():
    """
    The sandbox listens elsewhere, and only there.
    """
    hosts = ServiceHosts(["127.0.0.1:3980", "[::1]:3980", ""])

    assert hosts.allows("https://127.0.0.1:3980/teams/") and hosts.allows("https://[::1]:3980/")
    assert not hosts.allows("https://127.0.0.1/teams/") and not hosts.allows("https://127.0.0.1:3981/")


# --- what can go wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "BotNotInConversationRoster", PlaceGone),
        (404, "BotNotInConversationRoster", PlaceGone),
        (404, "ConversationNotFound", PlaceGone),
        (403, "ConversationBlockedByUser", PlaceGone),
        (403, "MessageWritesBlocked", PlaceGone),
        (403, "BotDisabledByAdmin", PlaceGone),
        (404, "ActivityNotFoundInConversation", CopyGone),
        (413, "MessageSizeTooBig", TooLarge),
        (413, "", TooLarge),
        (400, "BadSyntax", Rejected),
        (401, "BotNotRegistered", Rejected),
        (403, "NotEnoughPermissions", Rejected),
        (404, "", Rejected),
    ],
)
async def test_a_refusal_says_what_to_do_next(teams, connector, place, status, code, error):
    """
    The code decides and not the status, and no refusal is tried again.
    """
    teams.answers(status, code)

    with pytest.raises(ServiceError) as refusal:
        await connector.update(place, "1", CARD)

    assert error is type(refusal.value)
    assert 1 == len(teams.heard)


@pytest.mark.parametrize(("status", "is_us"), [(400, False), (401, True), (403, True), (404, False)])
async def test_a_refusal_tells_whether_it_is_us_who_were_refused(teams, connector, place, status, is_us):
    """
    An old secret says nothing about the message, which still stands there.
    """
    teams.answers(status)
    with pytest.raises(Rejected) as refusal:
        await connector.update(place, "1", CARD)

    assert is_us is refuses_us(refusal.value)
    assert refuses_us(Rejected("entra", "invalid_client"))


async def test_whoever_is_in_a_hurry_gives_up_sooner(teams, connector, place):
    """
    What Teams refuses to the end is a certain refusal, which a time limit of the caller's would hide.
    """
    teams.answers(429, "Throttled", Retry_After="10")
    with pytest.raises(Throttled):
        await connector.hurried(8).send(place, CARD)

    assert 1 == len(teams.heard)


async def test_a_token_that_is_refused_is_replaced_once(teams, time, place):
    """
    Such as one that was revoked before its time: nothing was posted, so the same post is made with a new token.
    """
    held = ["old", "new"]

    async def token() -> str:
        return held[0]

    connector = Connector(
        teams.session, token, ServiceHosts([teams.host]), pacer=Pacer(time.now, time.sleep), forget=held.remove
    )
    teams.answers(401)
    await connector.send(place, CARD)
    assert ["Bearer old", "Bearer new"] == [heard.authorization for heard in teams.heard]

    held.append("newest")
    teams.answers(401)
    teams.answers(401)
    with pytest.raises(Rejected):
        await connector.send(place, CARD)
    assert 4 == len(teams.heard)


@pytest.mark.parametrize(("status", "code"), [(429, "Throttled"), (412, "PreconditionFailed")])
async def test_a_post_is_repeated_when_nothing_was_accepted(teams, time, connector, place, status, code):
    """
    Asked to wait, the bot waits as long as it was told and posts again.
    """
    teams.answers(status, code, Retry_After="7")

    await connector.send(place, CARD)

    assert 2 == len(teams.heard)
    assert [7.0] == time.slept


@pytest.mark.parametrize("status", [500, 502, 503, 504, 0])
async def test_a_post_with_an_unknown_end_is_never_repeated(teams, connector, place, status):
    """
    The message may be there already: the caller learns so and looks first.
    """
    teams.answers(status)

    with pytest.raises(Uncertain) as problem:
        await connector.send(place, CARD)

    assert problem.value.params["maybe_done"] is True
    assert 1 == len(teams.heard)


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_pause_that_a_gateway_asks_for_holds_for_the_next_post(teams, time, connector, place, status):
    """
    The message is not repeated, and whoever posts next in this conversation waits as long as was asked for.
    """
    teams.answers(status, Retry_After="7")
    with pytest.raises(Uncertain) as problem:
        await connector.send(place, CARD)
    assert (7.0, []) == (problem.value.params["retry_after_s"], time.slept)

    await connector.send(place, CARD)

    assert [7.0] == time.slept


@pytest.mark.parametrize("answer", [{}, {"id": ""}, {"id": 5}, []])
async def test_a_post_without_an_id_is_uncertain(teams, connector, place, answer):
    """
    What has no id cannot be edited later, so it does not count as a copy.
    """
    teams.script = [(201, answer, {})]

    with pytest.raises(Uncertain):
        await connector.send(place, CARD)


@pytest.mark.parametrize("status", [502, 503, 504, 429, 412])
async def test_an_edit_is_repeated(teams, time, connector, place, status):
    """
    Editing twice is the same as editing once; the pauses grow.
    """
    teams.answers(status)
    teams.answers(status)

    await connector.update(place, "1", CARD)

    assert 3 == len(teams.heard)
    assert [1.0, 2.0] == time.slept


async def test_a_500_is_not_repeated(teams, connector, place):
    """
    Teams says that a 500 does not get better.
    """
    teams.answers(500, "ServiceError")

    with pytest.raises(Unavailable):
        await connector.update(place, "1", CARD)

    assert 1 == len(teams.heard)


async def test_patience_ends(teams, time, connector, place):
    """
    A refusal that goes on, or a pause that is too long, reaches the caller with the time to wait.
    """
    teams.answers(429, "Throttled", Retry_After="120")

    with pytest.raises(Throttled) as refusal:
        await connector.send(place, CARD)
    assert 120 == refusal.value.retry_after_s
    assert [] == time.slept

    with pytest.raises(Throttled):
        await connector.send(place, CARD)
    assert 1 == len(teams.heard), "nobody runs into a conversation that asked for a pause"


async def test_no_connection_means_that_nothing_happened(teams, time, connector, place):
    """
    When Teams cannot be reached, a post is tried again, and in the end surely did not happen.
    """
    await teams._server.close()

    with pytest.raises(Unavailable) as problem:
        await connector.send(place, CARD)

    assert (False, 4) == (problem.value.params["maybe_done"], len(time.slept))


@pytest.mark.parametrize("id_", ["", ".", ".."])
async def test_an_id_cannot_climb_out_of_its_path(teams, connector, place, id_):
    """
    Stored ids become parts of an address, and only that.
    """
    with pytest.raises(Rejected):
        await connector.update(place, id_, CARD)

    assert [] == teams.heard


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("5", 5.0),
        (" 5 ", 5.0),
        ("soon", None),
        ("-1", None),
        ("²", None),
        ("Tue, 24 Nov 2026 03:12:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 03:00:00 GMT", 0.0),
        ("Tue, 99 Nov 2026 03:00:00 GMT", None),
        ("9" * 400, 86_400.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    """
    Both forms of the header are understood, and nonsense is no answer.
    """
    assert seconds == retry_after_s(header, datetime(2026, 11, 24, 3, 12, tzinfo=UTC))


# --- pace ------------------------------------------------------------------------------------------------------------


async def test_one_conversation_gets_no_more_than_teams_allows():
    """
    In any second at most 7, in any two 8, in any thirty 60: however many want to post at once.
    """
    time, moments = FakeTime(), []
    pacer = Pacer(time.now, time.sleep)
    for _ in range(130):
        await pacer.turn("19:abc")
        moments.append(time.now())

    for calls, seconds in SENDING:
        spans = [later - earlier for earlier, later in zip(moments, moments[calls:], strict=False)]
        assert all(span >= seconds - 1e-6 for span in spans)


async def test_a_busy_conversation_does_not_slow_the_others():
    """
    Pace is per conversation; the whole app has 50 calls a second.
    """
    time = FakeTime()
    pacer = Pacer(time.now, time.sleep)
    for number in range(50):
        await pacer.turn(f"19:{number}")
    assert [] == time.slept

    await pacer.turn("19:last")
    assert [1.0] == time.slept


async def test_idle_conversations_are_forgotten():
    """
    The memory of the pace does not grow with the number of conversations.
    """
    time = FakeTime()
    pacer = Pacer(time.now, time.sleep)
    for number in range(3 * Pacer.MAX_IDLE):
        await pacer.turn(f"19:{number}", READING)
        time.seconds += timedelta(hours=2).total_seconds()

    assert len(pacer._conversations) <= Pacer.MAX_IDLE


def test_a_place_that_is_refused_is_not_taken():
    """
    Who does not want to wait leaves the row as it was.
    """
    gate = Turnstile(((1, 10.0),))
    assert 0 == gate.reserve(0.0, 5.0)

    with pytest.raises(Throttled):
        gate.reserve(0.0, 5.0)

    assert 4.0 == gate.reserve(6.0, 5.0)
