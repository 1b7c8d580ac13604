"""How the calls of a dry run are shown, and that nothing but a read gets out."""

from typing import Any

import pytest

from services.cases import ActionKind
from services.clients.exchange import ExchangeClient, build_cmdlet
from services.clients.graph import GraphClient
from services.clients.http import Request
from services.containment import DryRun, PlannedCall
from services.containment.dry_run import Recorder, _address
from services.errors import Unavailable
from tests.fakes.account import NOW, OID, UPN
from tests.fakes.attacked import one, planned
from tests.fakes.clock import FakeClock
from tests.fakes.http import Script

USER = {"id": OID, "userPrincipalName": UPN, "displayName": "Jane", "accountEnabled": True}


async def calls(kind: ActionKind, *answers: Any) -> tuple[PlannedCall, ...]:
    """The calls of one action, with these answers to what is read."""
    case = planned()
    run = DryRun(Script(*answers), GraphClient, lambda send: ExchangeClient(send, "https://x", "t"), FakeClock(NOW))
    return await run.calls(case, [one(case, kind)])


def graph(method: str, action: str = "/users") -> Request:
    return Request("graph", method, f"https://graph.microsoft.com/v1.0{action}", action, "scope")


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "PUT"])
async def test_whatever_may_write_stays_inside(method: str):
    """
    It is written down and answered as done.
    """
    send = Script()
    recorder = Recorder(send)
    answer = await recorder(graph(method))

    assert (answer.json(), send.requests) == (None, [])
    assert [request.method for request in recorder.written] == [method]


@pytest.mark.parametrize("request_", [graph("GET"), build_cmdlet("https://x", "t", "Get-Mailbox", {})])
async def test_reads_get_the_real_answer(request_: Request):
    """
    A cmdlet is always a POST; its verb says that it only reads.
    """
    recorder = Recorder(Script({"value": []}))

    assert (await recorder(request_)).json() == {"value": []}
    assert recorder.written == []


async def test_a_cmdlet_whose_name_only_begins_alike_is_no_read():
    """
    Whatever is not known to read counts as writing; Graph has no verbs in its paths.
    """
    recorder = Recorder(Script())
    await recorder(build_cmdlet("https://x", "t", "Getaway-Mailbox", {}))
    await recorder(graph("POST", "Get-Something"))

    assert len(recorder.written) == 2


async def test_the_password_is_not_shown():
    """
    It is random and made anew each time; what is shown says so.
    """
    (call,) = await calls(ActionKind.RESET_PASSWORD, USER)

    assert (call.method, call.address) == ("PATCH", f"/v1.0/users/{OID}")
    assert call.body == {"passwordProfile": {"forceChangePasswordNextSignIn": True, "password": "(random)"}}


async def test_a_call_can_be_kept_as_json():
    """
    For the command line and for a stored card.
    """
    (call,) = await calls(ActionKind.BLOCK_SIGN_IN, USER)

    assert PlannedCall.model_validate_json(call.model_dump_json()) == call
    assert call.body == {"accountEnabled": False}


async def test_an_answer_that_a_change_would_have_read_is_not_missed():
    """
    Graph answers a changed rule with the rule; the empty answer instead is no reason to complain.
    """
    rule = {"Identity": "x", "Name": ".", "Enabled": True, "RuleIdentity": 1}
    target = one(planned(), ActionKind.DISABLE_RULE).target
    rows = {"value": [{**rule, "Identity": target["identity"]}]}
    (call,) = await calls(ActionKind.DISABLE_RULE, rows, rows)

    assert (call.method, call.note) == ("PATCH", None)


async def test_a_read_that_fails_is_said():
    """
    No call is guessed at.
    """
    (call,) = await calls(ActionKind.BLOCK_SIGN_IN, Unavailable("graph"))

    assert (call.method, call.note and call.note.key) == ("", "dry_run.unreadable")


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({"Identity": "a@b"}, "Set-X -Identity 'a@b'"),
        ({"Identity": "O'Hara"}, "Set-X -Identity 'O''Hara'"),
        ({"Force": True, "Confirm": False}, "Set-X -Force:$true -Confirm:$false"),
        ({"AccessRights": ["Editor", "Owner"]}, "Set-X -AccessRights 'Editor','Owner'"),
        ({"Forward": None}, "Set-X -Forward $null"),
        ({"Names": []}, "Set-X -Names @()"),
    ],
)
def test_cmdlets_are_written_as_in_powershell(parameters: dict[str, Any], line: str):
    """
    So that an administrator can read it, and could run it.
    """
    assert _address(build_cmdlet("https://x", "t", "Set-X", parameters)) == line
