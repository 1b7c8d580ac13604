"""Batches: what goes out together, what comes back to whom, and that no trouble with a batch is anybody's trouble."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.clients.batch import Batches, parse_batch
from services.clients.http import Limits, Request, Sender
from services.clients.lanes import LaneLimits
from services.errors import LicenceMissing, NotFound, PermissionMissing, Throttled
from tests.fakes.http import Answer, FakeSession, FakeTime, FakeTokens, answered

ROOT = "https://graph.microsoft.com/v1.0"
READ = Request("graph", "GET", f"{ROOT}/users/1", "/users/{user}", "scope", permission="User.Read.All")
BATCH = f"{ROOT}/$batch"


def reads(count: int) -> list[Request]:
    return [replace(READ, url=f"{ROOT}/users/{number}") for number in range(count)]


def inner(number: int, status: int = 200, body: Any = None, **headers: str) -> dict[str, Any]:
    named = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {"id": str(number), "status": status, "headers": named, "body": {"n": number} if body is None else body}


def refusal(code: str, message: str = "") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


class Scene:
    """A sender with scripted answers, and batches in front of it. Answers that are lists are those of a batch."""

    def __init__(self, *answers: Any, lanes: Mapping[str, LaneLimits] | None = None) -> None:
        self.time = FakeTime()
        self.session = FakeSession(*[self._spelled(answer) for answer in answers])
        limits = Limits() if lanes is None else Limits(lanes=lanes)
        self.tokens = FakeTokens()
        self.sender = Sender(
            self.session,
            self.tokens,
            self.time,
            sleep=self.time.sleep,
            monotonic=self.time.monotonic,
            jitter=lambda: 0.5,
            limits=limits,
        )
        self.batches = Batches(self.sender, "https://graph.microsoft.com/", sleep=lambda _: asyncio.sleep(0))

    @staticmethod
    def _spelled(answer: Any) -> Any:
        return Answer(body={"responses": answer}) if isinstance(answer, list) else answer

    async def read(self, *requests: Request) -> list[Any]:
        """What each of these calls came to, bodies and errors, when they are made at the same time."""
        calls = [self.batches.send(request) for request in requests]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        return [outcome if isinstance(outcome, BaseException) else outcome.json() for outcome in outcomes]

    @property
    def sent(self) -> list[str]:
        return [sent.url for sent in self.session.sent]


async def test_reads_at_the_same_time_are_one_call():
    """
    Each gets its own answer, in whatever order they come; headers go along.
    """
    first, second = reads(2)
    scene = Scene([inner(1), inner(0)])

    assert [{"n": 0}, {"n": 1}] == await scene.read(first, replace(second, headers={"ConsistencyLevel": "eventual"}))
    assert [BATCH] == scene.sent
    assert [
        {"id": "0", "method": "GET", "url": "/users/0", "headers": {}},
        {"id": "1", "method": "GET", "url": "/users/1", "headers": {"ConsistencyLevel": "eventual"}},
    ] == scene.session.sent[0].json["requests"]


async def test_one_read_is_no_batch():
    """
    Nobody else came within the moment, so it goes out as it is.
    """
    scene = Scene(Answer(body={"id": "1"}))

    assert [{"id": "1"}] == await scene.read(READ)
    assert [READ.url] == scene.sent


async def test_a_batch_holds_twenty_calls():
    """
    Microsoft takes no more; the others form the next one.
    """
    scene = Scene([inner(number) for number in range(20)], [inner(0), inner(1)])

    await scene.read(*reads(22))

    assert [20, 2] == [len(sent.json["requests"]) for sent in scene.session.sent]


@pytest.mark.parametrize(
    "other",
    [
        replace(READ, method="PATCH", body={}),
        replace(READ, method="POST", body={}),
        replace(READ, method="DELETE"),
        replace(READ, lane="reports"),
        replace(READ, lane="mailbox"),
        replace(READ, url="https://graph.microsoft.com/beta/users/1"),
        replace(READ, url="https://elsewhere.example/v1.0/users/1"),
        replace(READ, url=f"{ROOT}/users?$skiptoken=2"),
        replace(READ, url=f"{ROOT}/users?%24skipToken=2"),
    ],
    ids=lambda request: f"{request.method} {request.lane} {request.url[8:]}",
)
async def test_what_is_no_read_of_the_directory_goes_alone(other):
    """
    Writes above all, and calls that have limits of their own; further pages too.
    """
    scene = Scene()

    await scene.read(other, other)

    assert [other.url, other.url] == scene.sent


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (403, refusal("Authorization_RequestDenied"), PermissionMissing),
        (403, refusal("Forbidden", "Your tenant is not licensed for this feature."), LicenceMissing),
        (401, refusal("Unauthorized", "Account is not provisioned."), LicenceMissing),
        (404, refusal("Request_ResourceNotFound"), NotFound),
    ],
)
async def test_a_refusal_inside_means_what_it_means_alone(status, body, error):
    """
    The one that was refused learns why; the other has its answer.
    """
    scene = Scene([inner(0, status, body), inner(1)])

    refused, good = await scene.read(*reads(2))

    assert isinstance(refused, error)
    assert {"n": 1} == good
    assert [BATCH] == scene.sent


async def test_a_refusal_names_the_permission_of_its_own_call():
    """
    Not that of the batch, which has none.
    """
    scene = Scene([inner(0, 403, refusal("Authorization_RequestDenied")), inner(1)])

    refused, _ = await scene.read(*reads(2))

    assert ("User.Read.All", "/users/{user}") == (refused.params["permission"], refused.params["action"])


async def test_a_throttled_call_is_repeated_alone_after_its_own_wait():
    """
    The batch itself was accepted, so the others are not asked for again.
    """
    scene = Scene([inner(0, 429, refusal("TooManyRequests"), Retry_After="7"), inner(1)], Answer(body={"late": True}))

    assert [{"late": True}, {"n": 1}] == await scene.read(*reads(2))
    assert [BATCH, f"{ROOT}/users/0"] == scene.sent
    assert [7.0] == scene.time.sleeps


async def test_a_throttled_call_that_should_wait_too_long_gives_up():
    """
    By the same patience as alone: the caller decides what to do with two minutes.
    """
    scene = Scene([inner(0, 429, Retry_After="120"), inner(1)])

    refused, good = await scene.read(*reads(2))

    assert isinstance(refused, Throttled) and 120 == refused.retry_after_s
    assert {"n": 1} == good
    assert [BATCH] == scene.sent


async def test_a_service_in_trouble_behind_the_batch_is_asked_again_alone():
    """
    503 inside is one try of that call, and the next one is its own.
    """
    scene = Scene([inner(0, 503), inner(1)], Answer(body={"well": True}))

    assert [{"well": True}, {"n": 1}] == await scene.read(*reads(2))
    assert [0.8] == scene.time.sleeps


@pytest.mark.parametrize(
    "answers",
    [
        [inner(1)],
        [inner(0), inner(0, body={"other": 1}), inner(1)],
        [inner(0, 424), inner(1)],
        [inner(0, 401, refusal("InvalidAuthenticationToken")), inner(1)],
        [{**inner(0), "status": "200"}, inner(1)],
        [{**inner(0), "status": True}, inner(1)],
        [{"id": 0}, inner(1)],
        ["nothing", inner(1)],
        [{**inner(0), "headers": {"Content-Type": "text/plain"}, "body": "no base64!"}, inner(1)],
        [inner(1), inner(7), inner(8)],
    ],
)
async def test_a_call_without_an_answer_of_its_own_is_sent_alone(answers):
    """
    Missing, twice, unreadable or dependent on nothing: only that one is asked for again.
    """
    scene = Scene(answers, Answer(body={"alone": True}))

    assert [{"alone": True}, {"n": 1}] == await scene.read(*reads(2))
    assert [BATCH, f"{ROOT}/users/0"] == scene.sent


@pytest.mark.parametrize(
    "outer",
    [
        Answer(400, body=refusal("BadRequest")),
        Answer(403, body=refusal("Forbidden")),
        Answer(503),
        Answer(429),
        Answer(body=b"<html>"),
        Answer(body=[]),
        Answer(body={"responses": None}),
        Answer(body={}),
        TimeoutError(),
    ],
)
async def test_when_the_batch_fails_each_is_sent_alone(outer):
    """
    A batch is tried once: what is wrong with it, or too slow in it, concerns nobody else.
    """
    scene = Scene(outer, Answer(body={"n": 0}), Answer(body={"n": 1}))

    assert [{"n": 0}, {"n": 1}] == await scene.read(*reads(2))
    assert [BATCH, f"{ROOT}/users/0", f"{ROOT}/users/1"] == scene.sent


async def test_a_batch_has_less_time_than_a_call():
    """
    One slow answer holds all of them, so they go alone after a few seconds.
    """
    scene, seen = Scene([inner(0), inner(1)]), []

    async def watching(request: Request):
        seen.append(request)
        return await Sender.send(scene.sender, request)

    scene.sender.send = watching
    await scene.read(*reads(2))

    assert [(1, 3.0)] == [(request.tries, request.timeout_s) for request in seen]


async def test_a_refused_token_is_renewed_for_the_whole_batch():
    """
    401 for the batch is about the token, and a batch without effect may be sent again.
    """
    scene = Scene(Answer(401), [inner(0), inner(1)])

    assert [{"n": 0}, {"n": 1}] == await scene.read(*reads(2))
    assert ["token-1"] == scene.tokens.forgotten


async def test_a_batch_takes_one_place_in_its_lane():
    """
    Twenty calls in a lane with a single turn go out without waiting.
    """
    scene = Scene([inner(number) for number in range(20)], lanes={"directory": LaneLimits(calls=1, per_s=100)})

    await scene.read(*reads(20))

    assert [] == scene.time.sleeps


async def test_whoever_gives_up_takes_nothing_from_the_others():
    """
    A signal that is cancelled leaves the batch to those who still wait.
    """
    scene = Scene([inner(0), inner(1), inner(2)])
    calls = [asyncio.ensure_future(scene.batches.send(request)) for request in reads(3)]
    await asyncio.sleep(0)
    calls[0].cancel()

    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert [{"n": 1}, {"n": 2}] == [outcome.json() for outcome in outcomes[1:]]


async def test_other_bodies_than_json_come_in_base64():
    """
    And an answer without a body is one.
    """
    text = {"id": "0", "status": 200, "headers": {"content-type": "text/plain"}, "body": "NDI="}
    scene = Scene([text, {"id": "1", "status": 204, "headers": None}])

    assert [42, None] == await scene.read(*reads(2))


NAMES = st.sampled_from(["responses", "id", "status", "headers", "body", "Content-Type"])
BODIES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda within: st.lists(within, max_size=3) | st.dictionaries(NAMES, within, max_size=5),
    max_leaves=9,
)


@given(BODIES)
def test_no_body_breaks_a_batch(data):
    """
    Whatever stands there, calls get an answer or are sent alone.
    """
    for answer in parse_batch(answered(json.dumps(data).encode())).values():
        assert isinstance(answer.body, bytes)
