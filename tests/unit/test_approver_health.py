"""An approver's own account: whoever holds it may be the attacker."""

from __future__ import annotations

import asyncio

import pytest

from services.approver_health import AccountState, ApproverHealth
from services.clients.exchange_models import BlockedSender
from services.clients.graph_models import RiskyUser
from services.errors import LicenceMissing, NotFound, PermissionMissing, ServiceError, Throttled, Unavailable
from tests.fakes.people import MEGAN


class Tenant:
    """Risk and the restricted list, as the test says."""

    def __init__(self, risk: str | None = None, *blocked: str) -> None:
        self.risk = risk
        self.blocked = blocked
        self.risk_fault: ServiceError | None = None
        self.list_fault: ServiceError | None = None

    async def risky_user(self, oid: str) -> RiskyUser | None:
        await asyncio.sleep(0)
        if self.risk_fault is not None:
            raise self.risk_fault
        return None if self.risk is None else RiskyUser.model_validate({"id": oid, "riskState": self.risk})

    async def blocked_sender(self, address: str) -> BlockedSender | None:
        if self.list_fault is not None:
            raise self.list_fault
        return BlockedSender(sender_address=address, reason_raw="") if address in self.blocked else None

    async def look(self) -> AccountState:
        return await ApproverHealth(self, self).look(MEGAN)

    async def trouble(self) -> str | None:
        return (await self.look()).trouble


@pytest.mark.parametrize("risk", [None, "none", "confirmedSafe", "remediated", "dismissed"])
async def test_an_account_without_open_risk_is_in_no_trouble(risk: str | None) -> None:
    """
    Never at risk, or not any more.
    """
    assert await Tenant(risk).trouble() is None


@pytest.mark.parametrize("risk", ["atRisk", "confirmedCompromised", "ATRISK"])
async def test_an_account_at_risk_is_risky(risk: str) -> None:
    """
    In any spelling of Microsoft's.
    """
    assert "risky" == await Tenant(risk).trouble()


async def test_an_account_on_the_restricted_list_is_restricted() -> None:
    """
    It has sent spam, so an attacker may have it. Being risky as well is said first.
    """
    assert "restricted" == await Tenant(None, MEGAN.upn).trouble()
    assert "risky" == await Tenant("atRisk", MEGAN.upn).trouble()


@pytest.mark.parametrize(
    "fault", [LicenceMissing("graph"), PermissionMissing("graph"), Unavailable("graph"), Throttled("graph")]
)
async def test_risk_that_is_not_read_is_unknown_and_the_list_still_counts(fault: ServiceError) -> None:
    """
    Nothing speaks against Megan, and nobody says that she is clean.
    """
    tenant, listed = Tenant(), Tenant(None, MEGAN.upn)
    tenant.risk_fault = listed.risk_fault = fault

    assert AccountState(None, risk_unread=True) == await tenant.look()
    assert "restricted" == await listed.trouble()


async def test_an_account_that_is_listed_under_another_address_is_restricted() -> None:
    """
    The list names some accounts by an alias.
    """
    megan = MEGAN.model_copy(update={"aliases": ("m.bowen@contoso.com",)})
    tenant = Tenant(None, "m.bowen@contoso.com")

    assert "restricted" == (await ApproverHealth(tenant, tenant).look(megan)).trouble


@pytest.mark.parametrize("risk", ["", "unknownFutureValue"])
async def test_a_risk_state_that_nobody_knows_is_unknown(risk: str) -> None:
    """
    It is not taken for none.
    """
    assert AccountState(None, risk_unread=True) == await Tenant(risk).look()


async def test_somebody_of_whom_microsoft_knows_no_risk_was_looked_at() -> None:
    """
    An account that was never at risk is not found among the risky ones.
    """
    tenant = Tenant()
    tenant.risk_fault = NotFound("graph")

    assert AccountState() == await tenant.look()


async def test_a_risk_that_takes_too_long_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Somebody waits for the answer to a click.
    """
    monkeypatch.setattr("services.approver_health.RISK_TIMEOUT_S", 0)
    tenant = Tenant("atRisk")

    assert (await tenant.look()).risk_unread


@pytest.mark.parametrize("fault", [Unavailable("exchange"), Throttled("exchange")])
async def test_a_list_that_cannot_be_read_is_raised(fault: ServiceError) -> None:
    """
    Unknown is not clean.
    """
    tenant = Tenant()
    tenant.list_fault = fault

    with pytest.raises(type(fault)):
        await tenant.look()


async def test_a_restricted_list_that_may_not_be_read_is_not_an_empty_one() -> None:
    """
    Every tenant has this list, so a missing permission is a fault here.
    """
    tenant = Tenant()
    tenant.list_fault = PermissionMissing("exchange")

    with pytest.raises(PermissionMissing):
        await tenant.trouble()
