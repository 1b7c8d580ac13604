"""The sender: repeats, waits, tokens and lanes, and what it never does."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import aiohttp
import pytest
import structlog
from prometheus_client import REGISTRY

from services.clients.http import Limits, Request, Sender
from services.clients.lanes import LANES, LaneLimits, Turns
from services.clients.trust import open_session
from services.errors import (
    BrokenAnswer,
    LicenceMissing,
    PermissionMissing,
    Rejected,
    Throttled,
    Unavailable,
)
from tests.fakes.http import Answer, FakeSession, FakeTime, FakeTokens

READ = Request("graph", "GET", "https://graph.microsoft.com/v1.0/users/1", "/users/{user}", "scope")
SPEND = replace(READ, method="POST", safe_to_repeat=False, body={"secret": "hunter2"})
LOST = aiohttp.ServerDisconnectedError()
UNREACHABLE = aiohttp.ClientConnectorError(
    aiohttp.client_reqrep.ConnectionKey("host", 443, True, True, None, None, None), OSError("refused")
)


class Scene:
    """A sender with scripted answers and a time of its own."""

    def __init__(self, *answers: Answer | Exception, **limits: object) -> None:
        self.time = FakeTime()
        self.tokens = FakeTokens()
        self.session = FakeSession(*answers)
        self.sender = Sender(
            self.session,
            self.tokens,
            self.time,
            sleep=self.time.sleep,
            monotonic=self.time.monotonic,
            jitter=lambda: 0.5,
            limits=Limits(**limits),
        )

    @property
    def tries(self) -> int:
        return len(self.session.sent)


async def test_a_good_answer_comes_back_with_its_body():
    """
    One call, one answer, no waiting.
    """
    scene = Scene(Answer(body={"id": "1"}))

    response = await scene.sender.send(READ)

    assert {"id": "1"} == response.json()
    assert [] == scene.time.sleeps
    assert "Bearer token-1" == scene.session.sent[0].headers["Authorization"]


@pytest.mark.parametrize(
    ("header", "waits"),
    [
        ("7", [7.0]),
        ("Tue, 24 Nov 2026 09:00:12 GMT", [12.0]),
        ("Tue, 24 Nov 2026 08:00:00 GMT", [0.0]),
        ("soon", [0.8]),
        (None, [0.8]),
    ],
)
async def test_retry_after_is_waited_for_in_every_form(header, waits):
    """
    Seconds, a date, a date gone by, nonsense and nothing: each leads to one sensible wait and a second try.
    """
    scene = Scene(Answer(429, headers={"Retry-After": header} if header else {}), Answer(body={}))

    await scene.sender.send(READ)

    assert waits == scene.time.sleeps
    assert 2 == scene.tries


async def test_a_wait_that_is_too_long_ends_the_call_at_once():
    """
    The caller learns how long the service wants to be left alone, and decides.
    """
    scene = Scene(Answer(429, headers={"Retry-After": "300"}))

    with pytest.raises(Throttled) as refusal:
        await scene.sender.send(READ)

    assert 300 == refusal.value.retry_after_s
    assert [] == scene.time.sleeps


async def test_waits_are_bounded_in_sum():
    """
    Three waits of nine seconds are more than twenty: the third one is not begun.
    """
    scene = Scene(*[Answer(429, headers={"Retry-After": "9"})] * 4)

    with pytest.raises(Throttled):
        await scene.sender.send(READ)

    assert [9, 9] == scene.time.sleeps


async def test_waits_without_a_wish_grow():
    """
    Where the service names no time, as ID Protection never does, each wait is twice the one before.
    """
    scene = Scene(*[Answer(429)] * 4)

    with pytest.raises(Throttled) as refusal:
        await scene.sender.send(READ)

    assert [0.8, 1.6, 3.2] == scene.time.sleeps
    assert refusal.value.retry_after_s is None


@pytest.mark.parametrize("trouble", [Answer(503), Answer(500), Answer(504), LOST, TimeoutError(), UNREACHABLE])
async def test_reading_is_repeated_after_trouble(trouble):
    """
    A 5xx, a broken or missing connection and a timeout are passing trouble when nothing is changed by the call.
    """
    scene = Scene(trouble, Answer(body={"id": "1"}))

    assert {"id": "1"} == (await scene.sender.send(READ)).json()
    assert 2 == scene.tries


@pytest.mark.parametrize("trouble", [Answer(503, headers={"Retry-After": "1"}), Answer(500), LOST, TimeoutError()])
async def test_what_spends_something_is_not_repeated_when_it_may_have_happened(trouble):
    """
    A lost answer to an unblock is "unknown": one try, and the caller looks before trying again.
    """
    scene = Scene(trouble, Answer(body={}))

    with pytest.raises(Unavailable):
        await scene.sender.send(SPEND)

    assert 1 == scene.tries


@pytest.mark.parametrize("trouble", [Answer(429, headers={"Retry-After": "1"}), Answer(429), UNREACHABLE])
async def test_what_spends_something_is_repeated_when_it_was_not_accepted(trouble):
    """
    A throttled call was refused and one without a connection never left: nothing was spent.
    """
    scene = Scene(trouble, Answer(body={}))

    await scene.sender.send(SPEND)

    assert 2 == scene.tries


async def test_tries_are_bounded():
    """
    A service that stays down is given four tries.
    """
    scene = Scene(*[Answer(503)] * 9)

    with pytest.raises(Unavailable):
        await scene.sender.send(READ)

    assert 4 == scene.tries


async def test_a_refused_token_is_renewed_once():
    """
    After a 401 the call is repeated with a fresh token, even one that must not be repeated otherwise.
    """
    scene = Scene(Answer(401), Answer(body={}))

    await scene.sender.send(SPEND)

    assert ["token-1"] == scene.tokens.forgotten
    assert ["Bearer token-1", "Bearer token-2"] == [sent.headers["Authorization"] for sent in scene.session.sent]


async def test_a_second_401_is_final():
    """
    A fresh token that is refused as well is no passing trouble.
    """
    scene = Scene(Answer(401), Answer(401, {"error": {"code": "InvalidAuthenticationToken", "message": "no"}}))

    with pytest.raises(Rejected) as refusal:
        await scene.sender.send(READ)

    assert "InvalidAuthenticationToken" == refusal.value.code
    assert 2 == scene.tries


async def test_a_licence_refusal_in_a_401_costs_no_token():
    """
    "Account is not provisioned." comes with 401 but is about the licence.
    """
    scene = Scene(Answer(401, {"error": {"code": "Unauthorized", "message": "Account is not provisioned."}}))

    with pytest.raises(LicenceMissing):
        await scene.sender.send(READ)

    assert [] == scene.tokens.forgotten


async def test_a_missing_permission_is_named():
    """
    Whoever reads the error learns which permission to grant.
    """
    scene = Scene(Answer(403, {"error": {"code": "Authorization_RequestDenied"}}))

    with pytest.raises(PermissionMissing) as refusal:
        await scene.sender.send(replace(READ, permission="User.Read.All"))

    assert "User.Read.All" == refusal.value.params["permission"]
    assert "/users/{user}" == refusal.value.params["action"]


async def test_a_redirect_is_not_followed():
    """
    A token goes nowhere but to the address that was configured.
    """
    scene = Scene(Answer(302, headers={"Location": "https://elsewhere.example"}))

    with pytest.raises(Rejected):
        await scene.sender.send(READ)

    assert 1 == scene.tries


async def test_an_endless_body_is_refused():
    """
    An answer that is too long is broken, not a reason to run out of memory.
    """
    scene = Scene(Answer(body=b"x" * 101), max_body_bytes=100)

    with pytest.raises(BrokenAnswer):
        await scene.sender.send(READ)


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"\xff\xfe", b"<html>"])
async def test_unreadable_json_is_a_broken_answer(body):
    """
    Half an answer, one nested without end, one in no encoding and one that is a web page.
    """
    response = await Scene(Answer(body=body)).sender.send(READ)

    with pytest.raises(BrokenAnswer):
        response.json()


async def test_logs_tell_of_the_call_and_not_of_its_content():
    """
    One line per call with the template of the path; never a body, a token or a name.
    """
    scene = Scene(Answer(503), Answer(body={"id": "private"}))

    with structlog.testing.capture_logs() as lines:
        await scene.sender.send(replace(READ, body={"password": "hunter2"}))

    (line,) = lines
    assert ("http_call", "graph", "/users/{user}", "200", 2) == (
        line["event"],
        line["service"],
        line["path"],
        line["status"],
        line["tries"],
    )
    assert not any(secret in str(lines) for secret in ("hunter2", "token-1", "private", "users/1"))


def test_a_request_does_not_show_its_body():
    """
    A password in a body cannot slip into a log or a traceback through the request's own text.
    """
    assert "hunter2" not in repr(SPEND)


async def test_calls_are_counted_by_service_and_outcome():
    """
    Each try counts, by its class of status.
    """
    before = _count("graph", "5xx"), _count("graph", "2xx")

    await Scene(Answer(503), Answer(body={})).sender.send(READ)

    assert (before[0] + 1, before[1] + 1) == (_count("graph", "5xx"), _count("graph", "2xx"))


def _count(service: str, status: str) -> float:
    return REGISTRY.get_sample_value("unblock_service_calls_total", {"service": service, "status": status}) or 0.0


# --- calls that failed in a batch ---


async def test_a_call_that_failed_in_a_batch_is_on_its_second_try():
    """
    It waits as the failure asks, and its tries are counted from there.
    """
    scene = Scene(Answer(503), Answer(503), Answer(503), Answer(503))

    with pytest.raises(Unavailable):
        await scene.sender.send_after(READ, Throttled("graph", 5.0))

    assert (3, 5.0) == (scene.tries, scene.time.sleeps[0])


async def test_a_call_that_is_tried_once_is_not_repeated():
    """
    Whoever knows another way says so.
    """
    scene = Scene(Answer(503), Answer())

    with pytest.raises(Unavailable):
        await scene.sender.send(replace(READ, tries=1))

    assert 1 == scene.tries


# --- proxies ---


@pytest.mark.parametrize(
    ("names", "asked"), [({}, False), ({"NO_PROXY": "localhost"}, False), ({"HTTPS_PROXY": "http://proxy:8080"}, True)]
)
async def test_the_environment_is_asked_for_a_proxy_only_if_it_names_one(names, asked, monkeypatch):
    """
    Asking takes a thread for each call.
    """
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)

    async with open_session() as session:
        assert asked is session.trust_env


# --- lanes ---


async def test_a_burst_below_the_limit_is_not_delayed():
    """
    Five sign-in queries go out at once; the sixth waits until the window has moved on.
    """
    scene = Scene(lanes={"reports": LaneLimits(calls=5, per_s=10)})

    for _ in range(5):
        await scene.sender.send(replace(READ, lane="reports"))
    assert [] == scene.time.sleeps

    await scene.sender.send(replace(READ, lane="reports"))
    assert [10.0] == scene.time.sleeps


async def test_a_lane_with_too_long_a_queue_says_so():
    """
    Waiting for a turn is bounded as well; the caller learns for how long it would have been.
    """
    scene = Scene(lanes={"reports": LaneLimits(calls=1, per_s=100)}, max_queue_s=60)
    await scene.sender.send(replace(READ, lane="reports"))

    with pytest.raises(Throttled) as refusal:
        await scene.sender.send(replace(READ, lane="reports"))

    assert 100 == refusal.value.retry_after_s
    assert 1 == scene.tries


async def test_retry_after_holds_the_whole_lane():
    """
    When one call was told to wait, others of its kind do not run into the same wall; other lanes go on.
    """
    scene = Scene(Answer(429, headers={"Retry-After": "50"}))
    with pytest.raises(Throttled):
        await scene.sender.send(replace(READ, lane="reports"))

    await scene.sender.send(replace(READ, lane="mailbox"))
    assert [] == scene.time.sleeps

    await scene.sender.send(replace(READ, lane="reports"))
    assert [50.0] == scene.time.sleeps


async def test_no_more_calls_are_under_way_than_the_lane_has_places():
    """
    Outlook takes four calls of an app at a time.
    """
    under_way, most, gate = 0, 0, asyncio.Event()

    class Slow(FakeTokens):
        async def token(self, scope: str) -> str:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            if under_way == 4:
                gate.set()
            await gate.wait()
            under_way -= 1
            return "token"

    scene = Scene()
    scene.sender._tokens = Slow()
    await asyncio.gather(*[scene.sender.send(replace(READ, lane="mailbox")) for _ in range(12)])

    assert 4 == most


@pytest.mark.parametrize(("lane", "calls"), [("reports", 30), ("risk", 6), ("exchange", 60), ("mailbox", 20)])
async def test_several_investigations_at_once_wait_for_each_other(lane, calls):
    """
    Nobody is refused for want of a place, however many come; they only wait.
    """
    scene = Scene()

    answers = await asyncio.gather(*[scene.sender.send(replace(READ, lane=lane)) for _ in range(calls)])

    assert calls == len(answers)
    assert all(wait < Limits().max_queue_s for wait in scene.time.sleeps)


async def test_two_calls_to_identity_protection_take_a_second():
    """
    Microsoft takes one a second and names no wait when it refuses one.
    """
    scene = Scene()

    await asyncio.gather(*[scene.sender.send(replace(READ, lane="risk")) for _ in range(2)])

    assert 1.0 < sum(scene.time.sleeps) < 1.1


@pytest.mark.parametrize("lane", sorted(LANES))
def test_a_window_never_holds_more_starts_than_allowed(lane):
    """
    However calls arrive, no window of the documented length sees more of them than the service takes.
    """
    limits, turns, starts = LANES[lane], Turns(LANES[lane]), []
    for arrival in range(400):
        starts.append(turns.take(arrival * 0.01))

    if limits.calls is None:
        assert starts == [arrival * 0.01 for arrival in range(400)]
    else:
        pairs = zip(starts, starts[limits.calls :], strict=False)
        assert all(later - earlier >= limits.per_s - 1e-9 for earlier, later in pairs)
