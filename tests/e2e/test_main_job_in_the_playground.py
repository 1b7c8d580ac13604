"""The main job as people do it: typed and pressed in two Playground windows, done and proven in the tenant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Desk
from tests.e2e.playground import APPROVALS, GENERAL
from tests.integration.world import Teams

pytestmark = pytest.mark.browser

JANE = "jane@contoso.com"
JANE_ID = "a1e00000-0000-4000-8000-000000000003"
CONTAINMENT = [
    ("sign-in sessions revoked", JANE),
    ("password reset", JANE),
    ("sign-in method deleted", f"{JANE}: microsoftAuthenticator"),
    ("inbox rule disabled", f"{JANE_ID}: ."),
    ("inbox rule disabled", f"{JANE}: sync"),
    ("mailbox changed", f"{JANE}: deliver_and_forward, forwarding_address, forwarding_smtp"),
    ("delegated grant revoked", f"{JANE_ID}: Mail.ReadWrite offline_access"),
    ("app role assignment removed", f"{JANE}: d0000000-0000-4000-8000-000000000003"),
    ("risk confirmedCompromised", JANE_ID),
]
#: What Exchange does by itself when a rule is changed; the prompt warned of it.
SIDE_EFFECT = ("client-side rules deleted", JANE)


async def test_what_alex_asks_for_and_megan_approves_is_done_once_and_in_order(desk: Desk, tmp_path: Path):
    """
    Alex asks in his chat, Megan approves in the channel, and Alex reads that it is done: contained, then unblocked.
    """
    await desk.alex.type_message("unblock jane")
    await desk.alex.see("Investigating Jane Doe")
    await desk.alex.take_screenshot(tmp_path / "investigating.png")

    await desk.megan.see("Unblock Jane Doe?", conversation=APPROVALS)
    await desk.megan.take_screenshot(tmp_path / "prompt.png")
    await desk.megan.press("Approve", conversation=APPROVALS)

    await desk.megan.see("Approved: unblock Jane Doe", conversation=APPROVALS)
    await desk.alex.see("Jane Doe is unblocked")
    await desk.alex.take_screenshot(tmp_path / "unblocked.png")
    assert [*CONTAINMENT, ("unblock requested", JANE)] == await changes_by_the_bot(desk.teams)
    assert 1 == await requests_to_unblock(desk.teams)


async def test_who_asked_cannot_approve_and_somebody_else_still_can(desk: Desk, tmp_path: Path):
    """
    Asked for in a channel, by mentioning the bot; Alex's own approval is refused with the reason and changes nothing.
    """
    await desk.alex.type_message("unblock jane", conversation=GENERAL)
    await desk.megan.see("Jane Doe", conversation=GENERAL)

    await desk.alex.press("Approve", conversation=APPROVALS)

    await desk.alex.see("You asked for this, so somebody else must decide.", conversation=APPROVALS)
    await desk.alex.take_screenshot(tmp_path / "refused.png")
    assert [] == await changes_by_the_bot(desk.teams)

    await desk.megan.press("Approve", conversation=APPROVALS)

    await desk.alex.see("Jane Doe is unblocked", conversation=GENERAL)
    assert 1 == await requests_to_unblock(desk.teams)


async def changes_by_the_bot(teams: Teams) -> list[tuple[str, str]]:
    """What the bot's own requests changed in the tenant, in order."""
    changes = [(change["action"], change["target"]) for change in await teams.changes() if change["by"] != "service"]
    return [change for change in changes if change != SIDE_EFFECT]


async def requests_to_unblock(teams: Teams) -> int:
    """How often Exchange was asked to take somebody off the restricted list."""
    return len((await teams.journal(cmdlet="Remove-BlockedSenderAddress"))["requests"])
