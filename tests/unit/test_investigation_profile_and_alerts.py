"""Changes of the profile, and alerts about the account."""

from datetime import timedelta
from typing import Any

import pytest

from services.cases import Finding, SignalState, UnknownReason
from services.clients.graph_models import AlertUser, AuditChange, AuditEvent, AuditTarget, SecurityAlert
from services.errors import LicenceMissing, PermissionMissing
from services.investigation.evidence import AUDIT_LIMIT
from services.investigation.signals.profile_changes import _NAMES, plain_value
from services.investigation.table import table, words
from tests.fakes.account import NOW, OID, STRANGER_IP, UPN, FakeAccount, audit, blocked, look, strangers_sign_in

FOUND, CLEAR, UNKNOWN = SignalState.FOUND, SignalState.CLEAR, SignalState.UNKNOWN
VERDICT = table().verdict


def keys(finding: Finding) -> set[str]:
    return {text.key.rpartition(".")[2] for text in (finding.summary, *finding.evidence)}


# --- profile ---------------------------------------------------------------------------------------------------------


def update(
    name: str = "DisplayName", old: str | None = '["Jane"]', new: str | None = '["Jane D."]', **fields: Any
) -> AuditEvent:
    """An update of the profile, by the account itself."""
    values = {"by_ip": "192.0.2.1", **fields}
    event = audit("Update user", values.pop("at", NOW - timedelta(hours=2)), **values)
    return event.model_copy(
        update={"targets": (AuditTarget(oid=OID, changes=(AuditChange(name=name, old=old, new=new),)),)}
    )


async def profile(*events: AuditEvent, **account: Any) -> Finding:
    return await look("profile_changes", FakeAccount(audit_log=events, **account))


@pytest.mark.parametrize(
    "name", ["DisplayName", "TelephoneNumber", "Mobile", "OtherMail", "PostalCode", "StreetAddress", "telephoneNumber"]
)
async def test_what_the_account_changed_about_itself_is_found(name: str):
    """
    What, from what to what, when, from where; alone it is no suspicion.
    """
    finding = await profile(update(name))

    told = finding.evidence[0].params
    assert (told["old"], told["new"], told["ip"]) == ("Jane", "Jane D.", "192.0.2.1")
    assert 0 < finding.weight < VERDICT.suspected_from


@pytest.mark.parametrize(
    "event",
    [
        update(new='["Jane"]'),
        update(old=None, new="[]"),
        update("JobTitle"),
        update(at=NOW - timedelta(days=12)),
        update(result="failure"),
        audit("Reset user password", NOW),
    ],
)
async def test_what_changed_nothing_of_interest_is_clear(event: AuditEvent):
    """
    The same value again, other properties, long before the block, or refused.
    """
    assert (await profile(event)).state is CLEAR


@pytest.mark.parametrize(
    "by",
    [
        {"by_oid": None, "by_upn": None, "by_app": "Microsoft.Azure.SyncFabric"},
        {"by_oid": "admin", "by_upn": "admin@contoso.com"},
    ],
)
async def test_routine_of_admins_and_synchronisation_is_told_and_does_not_count(by: dict):
    """
    Somebody else's change is no sign of an attacker in this account, but from a suspicious address.
    """
    finding = await profile(update(**by))
    assert (finding.state, keys(finding)) == (CLEAR, {"clear", "by_other"})

    assert (await profile(update(**by, by_ip=STRANGER_IP), sign_in_log=strangers_sign_in())).state is FOUND


async def test_a_profile_log_that_does_not_reach_the_block_is_unknown():
    """
    Cut off, or older than the log is kept.
    """
    many = tuple(audit("Update user", NOW - timedelta(minutes=n)) for n in range(AUDIT_LIMIT))
    assert (await profile(*many)).summary.key == "finding.profile_changes.cut_off"

    old = blocked(block=blocked().block.model_copy(update={"since": NOW - timedelta(days=29)}))
    assert (await look("profile_changes", FakeAccount(), old)).state is UNKNOWN


async def test_a_profile_log_that_cannot_be_read_comes_through():
    """
    Whoever runs the signal turns this into "could not be read".
    """
    with pytest.raises(PermissionMissing):
        await look("profile_changes", FakeAccount(audit_log=PermissionMissing("graph")))


@pytest.mark.parametrize(
    ("spelled", "plain"),
    [('["Jane"]', "Jane"), ('["a","b"]', "a, b"), ("[]", ""), (None, ""), ('"x"', "x"), ("not json", "not json")],
)
def test_values_are_told_as_people_write_them(spelled: str | None, plain: str):
    """
    The log spells them as JSON, most of the time.
    """
    assert plain_value(spelled) == plain


def test_every_property_that_counts_has_a_name():
    """
    The words and the weights speak of the same properties.
    """
    assert set(_NAMES) == {name for names in words().profile.kinds.values() for name in names}
    assert set(words().profile.kinds) < set(table().signals["profile_changes"].points)


# --- alerts ----------------------------------------------------------------------------------------------------------


def alert(title: str = "Impossible travel activity", severity: str = "medium", **fields: Any) -> SecurityAlert:
    values = {"status": "new", "created_at": NOW - timedelta(hours=3), "users": (AlertUser(upn=UPN),), **fields}
    return SecurityAlert(alert_id=f"{title}-{severity}", title=title, severity=severity, **values)


async def alerts(*found: SecurityAlert) -> Finding:
    return await look("alerts", FakeAccount(alert_log=found))


@pytest.mark.parametrize("user", [{"oid": OID.upper()}, {"upn": UPN.upper()}, {"address": UPN}])
async def test_an_alert_that_names_the_account_is_found(user: dict):
    """
    By object id, UPN or address, in any case: title, severity, time.
    """
    finding = await alerts(alert(users=(AlertUser(oid="other"), AlertUser(**user))))

    assert finding.evidence[0].params["title"] == "Impossible travel activity"
    assert 0 < finding.weight < VERDICT.suspected_from


async def test_severities_add_up_and_each_counts_once():
    """
    A high one alone makes an account suspected; ten medium ones are no more than one.
    """
    assert (await alerts(alert(severity="high"))).weight >= VERDICT.suspected_from
    assert (await alerts(alert("a"), alert("b"))).weight == (await alerts(alert("a"))).weight
    assert (await alerts(alert(severity="somethingNew"))).weight > 0


async def test_an_analyst_who_confirmed_it_settles_the_matter():
    """
    A determination of "compromised account" is a verdict.
    """
    confirmed = alert(classification="truePositive", determination="compromisedAccount", status="resolved")

    assert (await alerts(confirmed)).weight >= VERDICT.compromised_from


@pytest.mark.parametrize(
    "fields",
    [
        {"classification": "falsePositive"},
        {"classification": "informationalExpectedActivity", "status": "resolved"},
        {"status": "resolved", "updated_at": NOW - timedelta(days=20)},
    ],
)
async def test_what_was_judged_harmless_or_settled_before_does_not_count(fields: dict):
    """
    It is told, so that the reader can disagree.
    """
    finding = await alerts(alert(severity="high", **fields))

    assert (finding.state, keys(finding)) == (CLEAR, {"clear", "detail"})


async def test_alerts_about_the_block_and_about_amounts_make_no_suspect():
    """
    A bulk mailer sets them off as well.
    """
    block = alert("User restricted from sending email", "high")
    assert (await alerts(block)).state is CLEAR

    amounts = (alert("Email sending limit exceeded"), alert("Suspicious email sending patterns detected"))
    assert (await alerts(block, *amounts)).state is CLEAR


async def test_silence_of_everything_is_unknown():
    """
    A tenant without any alert may have no product that looks; one with alerts about others has.
    """
    assert (await alerts()).unknown_reason is UnknownReason.NOT_APPLICABLE
    assert (await alerts(alert(users=(AlertUser(oid="other"),)))).state is CLEAR


async def test_more_alerts_than_could_be_read_are_unknown():
    """
    The account may be among those that are missing.
    """
    many = (alert(users=()),) * table().signals["alerts"].thresholds["limit"]

    assert (await alerts(*many)).state is UNKNOWN


async def test_alerts_that_cannot_be_read_come_through():
    """
    Whoever runs the signal turns this into "could not be read".
    """
    with pytest.raises(LicenceMissing):
        await look("alerts", FakeAccount(alert_log=LicenceMissing("graph")))
