"""The block's reason, risk, apps, sign-in methods and the password."""

from datetime import timedelta

import pytest

from services.cases import Block, BlockKind, Finding, SignalState, UnknownReason, say
from services.clients.graph_models import AuthMethod, RiskDetection, RiskyUser
from services.errors import LicenceMissing, NotFound, PermissionMissing, Unavailable
from tests.fakes.account import NOW, OID, FakeAccount, app, audit, blocked, grant, look

FOUND, CLEAR, UNKNOWN = SignalState.FOUND, SignalState.CLEAR, SignalState.UNKNOWN


# --- the block -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "text", "params"),
    [
        (
            {"ExternalRecipientCountToday": "2,871", "InternalRecipientCountToday": "14"},
            "limit",
            {"external": 2871, "internal": 14},
        ),
        ({"ExternalRecipientCountToday": "7"}, "limit", {"external": 7, "internal": 0}),
        ({"OutboundSpamLast24Hours": "61", "OutboundMailLast24Hours": "84"}, "spam", {"spam": 61, "mail": 84}),
        ({"outboundspampercent": "80.5"}, "percent", {"percent": 80}),
        ({"OutboundSpamPercent": "many"}, "unexplained", {}),
        ({}, "unexplained", {}),
        ({"SomethingNew": "1"}, "unexplained", {}),
    ],
)
async def test_the_reason_of_the_block_is_told_as_far_as_it_goes(reason: dict, text: str, params: dict):
    """
    Numbers are shown as numbers; what is missing, odd or new does not stop the rest.
    """
    block = Block(kind=BlockKind.RESTRICTED, sender_address="jane@contoso.com", reason=reason)

    finding = await look("restricted_entry", FakeAccount(), blocked(block=block))

    assert finding.summary == say(f"finding.restricted_entry.{text}", **params)
    assert 0 < finding.weight <= 10


@pytest.mark.parametrize(
    ("block", "state", "reason"),
    [
        (Block(kind=BlockKind.NONE), CLEAR, None),
        (None, UNKNOWN, UnknownReason.FAULT),
        (Block(kind=BlockKind.UNKNOWN, unreadable=say("unreadable.permission")), UNKNOWN, UnknownReason.PERMISSION),
        (Block(kind=BlockKind.UNKNOWN, unreadable=say("unreadable.fault")), UNKNOWN, UnknownReason.FAULT),
    ],
)
async def test_a_list_that_could_not_be_read_is_unknown(block: Block | None, state: SignalState, reason):
    """
    Not being on the list is one thing, not knowing another.
    """
    finding = await look("restricted_entry", FakeAccount(), blocked(block=block))

    assert (finding.state, finding.unknown_reason) == (state, reason)


# --- risk ------------------------------------------------------------------------------------------------------------


def risky(state: str | None, level: str | None) -> RiskyUser:
    return RiskyUser(user_oid=OID, risk_state=state, risk_level=level)


def detection(level: str = "high", state: str = "atRisk", days_ago: float = 1) -> RiskDetection:
    at = NOW - timedelta(days=days_ago)
    return RiskDetection(
        detection_id=f"{level}{at}", kind="anonymizedIPAddress", risk_level=level, risk_state=state, at=at
    )


@pytest.mark.parametrize(
    ("user", "state", "text", "weight"),
    [
        (None, CLEAR, "none", 0),
        (risky("none", "none"), CLEAR, "none", 0),
        (risky("confirmedCompromised", "high"), FOUND, "confirmed", 60),
        (risky("atRisk", "high"), FOUND, "high", 45),
        (risky("atRisk", "MEDIUM"), FOUND, "medium", 30),
        (risky("atRisk", "low"), FOUND, "low", 15),
        (risky("atRisk", None), FOUND, "level_unknown", 15),
        (risky("remediated", "high"), CLEAR, "remediated", 0),
        (risky("dismissed", "none"), CLEAR, "dismissed", 0),
        (risky("confirmedSafe", "none"), CLEAR, "confirmedsafe", 0),
        (risky("unknownFutureValue", "unknownFutureValue"), UNKNOWN, "not_understood", 0),
        (risky("somethingNew", "high"), FOUND, "high", 45),
    ],
)
async def test_risk_is_taken_as_entra_gives_it(user: RiskyUser | None, state: SignalState, text: str, weight: int):
    """
    Every state and level, in any spelling; words that Microsoft adds later are not understood, so not clear.
    """
    finding = await look("risk_state", FakeAccount(risky=user))

    assert (finding.state, finding.summary.key, finding.weight) == (state, f"finding.risk_state.{text}", weight)


async def test_a_risk_that_is_not_said_is_unknown():
    """
    A row without words is not good news, and neither is a service that is not there at all.
    """
    assert UNKNOWN == (await look("risk_state", FakeAccount(risky=risky(None, None)))).state

    with pytest.raises(NotFound):
        await look("risk_state", FakeAccount(risky=None, detections=NotFound("graph")))


@pytest.mark.parametrize("state", ["none", "atRisk"])
async def test_a_hidden_level_is_a_missing_licence(state: str):
    """
    "hidden" is what a tenant without Entra ID P2 sees, and says nothing about the risk.
    """
    finding = await look("risk_state", FakeAccount(risky=risky(state, "hidden")))

    assert (finding.state, finding.unknown_reason) == (UNKNOWN, UnknownReason.LICENCE)


async def test_open_detections_count_where_the_state_says_nothing():
    """
    Detections of the last 30 days that nobody has settled are evidence of their own.
    """
    finding = await look("risk_state", FakeAccount(detections=(detection("medium"), detection("low"))))

    assert (finding.state, finding.weight) == (FOUND, 30)


@pytest.mark.parametrize("old", [detection(state="remediated"), detection(days_ago=31)])
async def test_settled_and_old_detections_do_not_count(old: RiskDetection):
    """
    What was dealt with, and what is long past, is no evidence now.
    """
    assert (await look("risk_state", FakeAccount(detections=(old,)))).state is CLEAR


async def test_without_a_licence_for_the_state_detections_may_still_be_found():
    """
    Entra ID P1 shows detections; finding some is evidence, finding none proves nothing.
    """
    no_licence = LicenceMissing("graph")

    assert (await look("risk_state", FakeAccount(risky=no_licence, detections=(detection(),)))).state is FOUND
    with pytest.raises(LicenceMissing):
        await look("risk_state", FakeAccount(risky=no_licence))


# --- apps ------------------------------------------------------------------------------------------------------------


async def apps(*grants, app_fields: dict | None = None, **values) -> Finding:
    known = {
        g.client_sp_oid: app(g.client_sp_oid, **(app_fields or {})) for g in (*grants, *values.get("tenant_grants", ()))
    }
    return await look("oauth_grants", FakeAccount(**({"grants": grants, "apps": known} | values)))


def consent(days_ago: float = 0.1) -> tuple:
    return (audit("Consent to application", NOW - timedelta(days=days_ago), target="app-1"),)


async def test_an_unverified_app_with_mail_that_was_let_in_lately_is_found():
    """
    The classic: mail, offline, nobody vouches for it, consented to today. With its name, its rights and the time.
    """
    finding = await apps(grant("app-1", "Mail.ReadWrite", "offline_access"), audit_log=consent())

    assert (finding.state, finding.weight) == (FOUND, 45)
    assert finding.evidence[0] == say(
        "finding.oauth_grants.detail", app="Mail Merge", permissions=["Mail.ReadWrite", "offline_access"]
    )
    assert finding.targets[0]["grant_id"] == "grant-app-1"


@pytest.mark.parametrize(
    ("scopes", "fields", "log"),
    [
        (("User.Read", "openid", "profile"), {}, consent()),
        (("Mail.Read", "offline_access"), {"verified_publisher": "Fabrikam"}, ()),
        (("Mail.Read", "offline_access"), {}, ()),
        (("Mail.Read",), {"owner_tenant_id": "11111111-1111-4111-8111-111111111111"}, consent()),
        (
            ("Mail.Read",),
            {"owner_tenant_id": "f8cdef31-a31e-4b4a-93e4-5f571e91255a", "publisher_name": "Microsoft Services"},
            consent(),
        ),
    ],
)
async def test_ordinary_apps_are_clear(scopes: tuple[str, ...], fields: dict, log: tuple):
    """
    Small rights, a verified publisher, a mail program of long standing, the tenant's own and Microsoft's apps.
    """
    assert (await apps(grant("app-1", *scopes), app_fields=fields, audit_log=log)).state is CLEAR


async def test_microsofts_name_alone_makes_no_app_trusted():
    """
    Anybody may call themselves Microsoft; the tenant that the app comes from must be Microsoft's as well.
    """
    finding = await apps(grant(), app_fields={"publisher_name": "Microsoft Services"}, audit_log=consent())

    assert finding.state is FOUND


async def test_an_app_whose_age_nobody_can_tell_is_found():
    """
    Without the audit log an unverified app with mail cannot be called one of long standing.
    """
    assert (await apps(grant(), audit_log=PermissionMissing("graph"))).state is FOUND


async def test_an_app_that_cannot_be_read_keeps_the_signal_from_being_clear():
    """
    Who publishes it is unknown, so the signal is unknown unless there is enough against the app anyway.
    """
    unreadable = {"app-1": Unavailable("graph")}

    with pytest.raises(Unavailable):
        await apps(grant("app-1", "Files.Read"), apps=unreadable)
    assert (await apps(grant(), apps=unreadable, audit_log=consent())).state is FOUND


@pytest.mark.parametrize(
    ("fields", "days_ago", "state"),
    [
        ({"app_id": "FF8D92DC-3D82-41D6-BCBD-B9174D163620", "name": "Backup"}, 200, FOUND),
        ({"app_id": "e9a7fea1-1cc0-4cd9-a31b-9137ca5deedd", "verified_publisher": "eM Client"}, 200, CLEAR),
        ({"app_id": "e9a7fea1-1cc0-4cd9-a31b-9137ca5deedd", "verified_publisher": "eM Client"}, 0.1, FOUND),
        ({"name": "PERFECTDATA SOFTWARE"}, 200, FOUND),
        ({"name": "perfect-data software", "verified_publisher": "Fabrikam"}, 200, CLEAR),
        ({"name": "...", "verified_publisher": "Fabrikam"}, 0.1, FOUND),
    ],
)
async def test_apps_that_attackers_use_are_known(fields: dict, days_ago: float, state: SignalState):
    """
    An id that attackers made is enough; an honest product must be new; a name alone is a hint, since anybody has it.
    """
    finding = await apps(grant(), app_fields=fields, audit_log=consent(days_ago))

    assert finding.state is state


async def test_a_known_bad_app_says_where_that_is_known_from():
    """
    The approver can look it up.
    """
    known_bad = {"app_id": "ff8d92dc-3d82-41d6-bcbd-b9174d163620"}

    finding = await apps(grant(), app_fields=known_bad, audit_log=consent())

    assert finding.evidence[-1].key == "finding.apps.known_bad"
    assert "Huntress" in str(finding.evidence[-1].params["source"])


async def test_a_known_bad_app_for_everybody_counts_and_is_left_to_a_person():
    """
    It acts in this account's name too; revoking it would concern the whole tenant, so it is no target.
    """
    everyone = grant("app-2", "Mail.Send", consent_type="AllPrincipals", principal_oid=None)

    finding = await apps(tenant_grants=(everyone,), app_fields={"app_id": "a245e8c0-b53c-4b67-9b45-751d1dff8e6b"})

    assert (finding.state, finding.targets) == (FOUND, ())
    assert "finding.oauth_grants.whole_tenant" in {text.key for text in finding.evidence}


async def test_grants_for_everybody_that_cannot_be_read_are_said():
    """
    With something found it is a note; with nothing found it is no good news.
    """
    unread = {"tenant_grants": Unavailable("graph"), "audit_log": consent(), "apps": {"app-1": app()}}

    finding = await look("oauth_grants", FakeAccount(grants=(grant(),), **unread))

    assert finding.evidence[-1].key == "finding.oauth_grants.for_everyone_unread"
    with pytest.raises(Unavailable):
        await look("oauth_grants", FakeAccount(**unread))


async def test_consents_for_everybody_are_told_and_never_proposed():
    """
    Revoking them would hit the whole tenant: they are shown, with no target for the plan.
    """
    everyone = grant("app-2", "Mail.Read", consent_type="AllPrincipals", principal_oid=None)

    finding = await apps(tenant_grants=(everyone,))

    assert finding.evidence[0].key == "finding.oauth_grants.for_everyone"
    assert (finding.state, finding.targets) == (CLEAR, ())


# --- sign-in methods -------------------------------------------------------------------------------------------------


def method(days_ago: float | None, kind: str = "microsoftAuthenticator") -> AuthMethod:
    at = None if days_ago is None else NOW - timedelta(days=days_ago)
    return AuthMethod(method_id=f"{kind}{days_ago}", kind=kind, created_at=at, label="SM-A155F")


@pytest.mark.parametrize("days_ago", [0.01, 1, 7])
async def test_a_method_added_around_the_block_is_found(days_ago: float):
    """
    Within 7 days before or after the block began, with its kind, its name and the time.
    """
    finding = await look("auth_methods", FakeAccount(methods=(method(days_ago), method(300))))

    assert finding.state is FOUND
    assert finding.evidence[0].params["label"] == "SM-A155F"


@pytest.mark.parametrize("methods", [(), (method(300),), (method(0.1, "password"),)])
async def test_older_methods_are_clear(methods: tuple[AuthMethod, ...]):
    """
    What was there long before is usual; the password is a signal of its own.
    """
    assert (await look("auth_methods", FakeAccount(methods=methods))).state is CLEAR


async def test_methods_without_an_age_are_settled_by_the_audit_log():
    """
    Graph tells no age of phones: the log says whether anything was registered; without it nothing is known.
    """
    phones = (method(None, "phone"),)
    registered = (audit("User registered security info", NOW - timedelta(hours=2), by_ip="203.0.113.9"),)

    assert (await look("auth_methods", FakeAccount(methods=phones))).state is CLEAR
    assert (await look("auth_methods", FakeAccount(methods=phones, audit_log=registered))).state is FOUND
    with pytest.raises(LicenceMissing):
        await look("auth_methods", FakeAccount(methods=phones, audit_log=LicenceMissing("graph")))


async def test_each_added_method_is_a_target_and_the_password_never():
    """
    What the plan needs to remove it; and a warning when the user is left with the password alone.
    """
    finding = await look("auth_methods", FakeAccount(methods=(method(0.1, "phone"), method(0.1, "password"))))

    assert finding.targets == ({"kind": "phone", "method_id": "phone0.1", "label": "SM-A155F", "certain": True},)
    assert finding.evidence[-1].key == "finding.auth_methods.none_left"


@pytest.mark.parametrize(("reason", "kinds"), [("User registered Phone: SMS", ["phone"]), (None, ["phone", "email"])])
async def test_of_methods_without_an_age_the_log_may_tell_which(reason: str | None, kinds: list[str]):
    """
    The reason names the kind; when it does not, each may be the one, and none of them is certain.
    """
    methods = (method(None, "phone"), method(None, "email"), method(300))
    log = (audit("User registered security info", NOW, result_reason=reason),)

    finding = await look("auth_methods", FakeAccount(methods=methods, audit_log=log))

    assert [(target["kind"], target["certain"]) for target in finding.targets] == [(kind, False) for kind in kinds]


async def test_what_a_newcomer_registers_is_clear():
    """
    Everybody registers in the first days of an account, also one that gets blocked then.
    """
    account = FakeAccount(methods=(method(2),))
    account.user = account.user.model_copy(update={"created_at": NOW - timedelta(days=5)})

    assert (await look("auth_methods", account)).state is CLEAR


async def test_a_failed_registration_is_no_change():
    """
    Only what succeeded counts.
    """
    failed = (audit("User registered security info", NOW, result="failure"),)

    assert (await look("auth_methods", FakeAccount(methods=(method(None),), audit_log=failed))).state is CLEAR


# --- password --------------------------------------------------------------------------------------------------------


async def password(days_ago: float | None, log: object = (), **fields) -> Finding:
    account = FakeAccount(audit_log=log)
    at = None if days_ago is None else NOW - timedelta(days=days_ago)
    account.user = account.user.model_copy(update={"password_changed_at": at})
    return await look("password_age", account, blocked(**fields))


@pytest.mark.parametrize(
    ("days_ago", "state", "text"),
    [
        (60, CLEAR, "days"),
        (1.5, FOUND, "around_block"),
        (3, CLEAR, "days"),
        (400, FOUND, "days"),
        (None, UNKNOWN, "not_said"),
    ],
)
async def test_the_password_is_judged_by_its_age(days_ago: float | None, state: SignalState, text: str):
    """
    Changed right around the block, or not for a year; a time that Entra does not give is unknown.
    """
    finding = await password(days_ago)

    assert (finding.state, finding.summary.key) == (state, f"finding.password_age.{text}")


async def test_many_changes_are_found():
    """
    Changing it again and again is a symptom.
    """
    changes = tuple(audit("Reset user password", NOW - timedelta(days=n)) for n in (3, 4, 5))

    assert (await password(5, changes)).evidence[0] == say("finding.password_age.changes", n=3, days=30)


async def test_the_entries_of_one_change_count_once():
    """
    A reset by an admin leaves several entries within a few minutes, and one that failed changed nothing.
    """
    one_change = tuple(
        audit(activity, NOW - timedelta(days=3, minutes=n))
        for n, activity in enumerate(("Reset user password", "Reset password (by admin)", "Change user password"))
    )
    failed = tuple(audit("Change user password", NOW - timedelta(days=n), result="failure") for n in (4, 5))

    assert (await password(5, (*one_change, *failed))).state is CLEAR


async def test_changes_that_cannot_be_counted_are_not_clear():
    """
    Without the log a young password may be the fifth in a month; what its age alone shows is told all the same.
    """
    unread = await password(60, LicenceMissing("graph"))
    old = await password(400, LicenceMissing("graph"))

    assert (unread.state, unread.unknown_reason) == (UNKNOWN, UnknownReason.LICENCE)
    assert (old.state, old.evidence[0].key) == (FOUND, "finding.password_age.changes_unread")


async def test_without_a_block_a_recent_change_is_nothing():
    """
    There is no start for it to be around.
    """
    assert (await password(0.5, block=None)).state is CLEAR
