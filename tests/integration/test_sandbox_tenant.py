"""The sandbox tenant, met as a stranger meets Microsoft: real HTTPS, real msal, no code of the bot."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from services.sandbox.keys import SandboxKeys
from services.sandbox.seed import ADELE_BERG, GRACE, INES, JANE, MAIL_RESPONDERS, MEGAN, PIA, SVEN
from services.sandbox.server import start_tenant
from tests.integration.stranger import EXCHANGE, GRAPH, Stranger, a_stranger_at, sign_in

COMPLIANCE = "https://ps.compliance.protection.outlook.com"
GRAPH_EXAMPLES = Path(__file__).parents[3] / "shared" / "data" / "graph-examples"
ADVANCED = {"ConsistencyLevel": "eventual"}


@pytest.fixture(scope="module")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture
async def stranger(key_folder: Path) -> AsyncIterator[Stranger]:
    async with a_stranger_at(key_folder) as stranger:
        yield stranger


# --- signing in ---------------------------------------------------------------------------------------------------


async def test_msal_gets_a_token_that_its_keys_verify(stranger: Stranger) -> None:
    """A token is RS256, for the resource asked for, with the app permissions granted; its key is published."""
    token = await stranger.token(GRAPH)
    tenant_id = stranger.sandbox.tenant.tenant_id

    keys = (await stranger.send("GET", f"{stranger.sandbox.origin}/{tenant_id}/discovery/v2.0/keys", None, {})).json
    key = jwt.PyJWK(next(key for key in keys["keys"] if key["kid"] == jwt.get_unverified_header(token)["kid"]))
    claims = jwt.decode(token, key.key, algorithms=["RS256"], audience=GRAPH)

    assert claims["tid"] == tenant_id
    assert claims["appid"] == stranger.sandbox.settings()["app_id"]
    assert "AuditLog.Read.All" in claims["roles"]


async def test_a_wrong_secret_is_refused_as_entra_refuses_it(stranger: Stranger) -> None:
    """A wrong secret is invalid_client with AADSTS7000215."""
    answer = await asyncio.to_thread(sign_in, stranger.sandbox, "wrong", GRAPH)

    assert answer["error"] == "invalid_client"
    assert answer["error_description"].startswith("AADSTS7000215:")


async def test_a_registered_certificate_signs_in_and_another_does_not(stranger: Stranger) -> None:
    """The assertion's signature and thumbprint must belong to a certificate of the app registration."""
    credential, pem = certificate_credential()
    refused = await asyncio.to_thread(sign_in, stranger.sandbox, credential, EXCHANGE)
    await stranger.control("state", body={"certificate": pem})
    granted = await asyncio.to_thread(sign_in, stranger.sandbox, credential, EXCHANGE)

    assert refused["error_description"].startswith("AADSTS700027:")
    assert jwt.decode(granted["access_token"], options={"verify_signature": False})["roles"] == ["Exchange.ManageAsApp"]


def certificate_credential() -> tuple[dict[str, str], str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bot")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
    ).sign(key, hashes.SHA256())
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    credential = {
        "private_key": private.decode(),
        "thumbprint": certificate.fingerprint(hashes.SHA1()).hex(),
        "public_certificate": pem,
    }
    return credential, pem


@pytest.mark.parametrize(
    ("changes", "code", "number"),
    [
        ({"scope": "https://example.org/.default"}, "invalid_resource", 500011),
        ({"scope": f"{GRAPH}/User.Read"}, "invalid_scope", 1002012),
        ({"client_id": "11111111-1111-4111-8111-111111111111"}, "unauthorized_client", 700016),
        ({"grant_type": "password"}, "unsupported_grant_type", 70003),
        ({"client_secret": ""}, "invalid_client", 7000218),
    ],
)
async def test_nonsense_at_the_token_endpoint_has_its_own_error(
    stranger: Stranger, changes: dict[str, str], code: str, number: int
) -> None:
    """Every mistake in a token request has Entra's code and number."""
    settings = stranger.sandbox.settings()
    form = {
        "grant_type": "client_credentials",
        "client_id": settings["app_id"],
        "client_secret": settings["app_secret"],
        "scope": f"{GRAPH}/.default",
        **changes,
    }
    url = f"{stranger.sandbox.origin}/{settings['tenant_id']}/oauth2/v2.0/token"
    async with stranger._session.post(url, data=form) as response:
        answer = await response.json()

    assert (code, [number]) == (answer["error"], answer["error_codes"])


async def test_the_bot_frameworks_keys_are_endorsed_for_teams(stranger: Stranger) -> None:
    """The Bot Framework document names its issuer, and its keys carry the endorsement."""
    document = (await stranger.send("GET", stranger.sandbox.settings()["bot_openid_url"], None, {})).json
    keys = (await stranger.send("GET", document["jwks_uri"], None, {})).json["keys"]
    signed = stranger.sandbox.keys.bot_service_key.sign({"aud": "bot"})

    assert document["issuer"] == "https://api.botframework.com"
    assert keys[0]["endorsements"] == ["msteams"]
    assert jwt.decode(signed, jwt.PyJWK(keys[0]).key, algorithms=["RS256"], audience="bot") == {"aud": "bot"}


async def test_a_token_for_another_resource_or_an_expired_one_is_refused(stranger: Stranger) -> None:
    """Graph takes tokens for Graph alone, and none that is declared expired."""
    await stranger.token(GRAPH)
    good = stranger.tokens[GRAPH]
    stranger.tokens[GRAPH] = await stranger.token(EXCHANGE)
    for_exchange = await stranger.graph("users")
    stranger.tokens[GRAPH] = good
    await stranger.control("state", body={"expire_tokens": True})
    expired = await stranger.graph("users")

    assert (401, "InvalidAuthenticationToken") == (for_exchange.status, for_exchange.code)
    assert 401 == expired.status
    assert "expired" in expired.json["error"]["message"]


async def test_keys_outlive_a_restart(key_folder: Path) -> None:
    """The same folder gives the same keys, for its owner alone."""
    first, second = SandboxKeys.load_or_create(key_folder), SandboxKeys.load_or_create(key_folder)

    assert first.login_key.jwk() == second.login_key.jwk()
    assert first.client_secret == second.client_secret
    assert {0o600} == {path.stat().st_mode & 0o777 for path in key_folder.iterdir()}


async def test_a_taken_port_is_an_error_at_once(stranger: Stranger, key_folder: Path) -> None:
    """A second sandbox on the same port does not start, and leaves nothing open."""
    taken = int(stranger.sandbox.http_origin.rpartition(":")[2])

    with pytest.raises(OSError):
        await start_tenant(key_folder, http_port=taken)


# --- Graph: users -------------------------------------------------------------------------------------------------


async def test_a_user_shows_default_properties_unless_others_are_selected(stranger: Stranger) -> None:
    """Without `$select` the account state is not shown; with it, nothing else is."""
    default = (await stranger.graph("users/JANE@contoso.com")).json
    chosen = (await stranger.graph(f"users/{JANE}?$select=id,accountEnabled,onPremisesSyncEnabled")).json

    assert "accountEnabled" not in default and default["userPrincipalName"] == "jane@contoso.com"
    assert {"@odata.context", "id", "accountEnabled", "onPremisesSyncEnabled"} == set(chosen)
    assert chosen["onPremisesSyncEnabled"] is None


async def test_default_properties_are_those_of_the_published_example(stranger: Stranger) -> None:
    """The default property set is the one Microsoft prints."""
    if not GRAPH_EXAMPLES.is_dir():
        pytest.skip("the published examples are not here")
    printed = json.loads((GRAPH_EXAMPLES / "user-get-v1-1-response.json").read_text())

    assert set(printed) == set((await stranger.graph(f"users/{JANE}")).json) - {"@odata.context"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("$filter=mail eq 'PIA.OBERG@contoso.com'", [PIA]),
        ("$filter=proxyAddresses/any(p:p eq 'smtp:p.oberg@contoso.com')", [PIA]),
        ("$filter=userPrincipalName eq 'nobody@contoso.com' or mail eq 'jane@contoso.com'", [JANE]),
        ("$filter=startswith(displayName,'adele b')", [ADELE_BERG]),
        ("$filter=accountEnabled eq true and givenName eq 'Ines'", [INES]),
        ("$filter=id in ('%s','%s')" % (JANE, INES), [JANE, INES]),  # noqa: UP031
    ],
)
async def test_people_are_found_by_filter(stranger: Stranger, query: str, found: list[str]) -> None:
    """Filters compare without regard to case, over names, addresses and aliases."""
    assert found == [person["id"] for person in (await stranger.graph(f"users?{query}")).value]


async def test_search_needs_its_header(stranger: Stranger) -> None:
    """`$search` finds words anywhere in the name, but only for callers who ask for eventual consistency."""
    query = 'users?$search="displayName:vance"&$count=true'
    plain = await stranger.graph(query)
    advanced = await stranger.graph(query, headers=ADVANCED)

    assert (400, "Request_UnsupportedQuery") == (plain.status, plain.code)
    assert ["Adele Vance"] == [person["displayName"] for person in advanced.value]
    assert 1 == advanced.json["@odata.count"]


@pytest.mark.parametrize(
    "query",
    [
        "$filter=contains(displayName,'jane')",
        "$filter=endswith(mail,'contoso.com')",
        "$filter=favouriteColour eq 'red'",
        "$filter=mail eq",
        "$select=favouriteColour",
        "$top=1000",
        "$top=none",
    ],
)
async def test_queries_graph_cannot_answer_are_refused(stranger: Stranger, query: str) -> None:
    """What the directory does not support is a 400, never an empty list."""
    assert 400 == (await stranger.graph(f"users?{query}")).status


async def test_pages_follow_on_until_everybody_was_seen(stranger: Stranger) -> None:
    """Next links lead through all people once, and keep the query."""
    url, names = "users?$top=4&$select=displayName", []
    while url:
        answer = await stranger.graph(url)
        names += [person["displayName"] for person in answer.value]
        url = answer.json.get("@odata.nextLink", "")

    assert len(names) == len(set(names)) == 42
    assert "Dan Rask" not in names


async def test_a_collection_may_begin_with_an_empty_page(stranger: Stranger) -> None:
    """With the switch on, the first page is empty and yet has a next one."""
    await stranger.control("state", body={"switches": {"empty_first_page": True}})
    first = await stranger.graph("groups")
    second = await stranger.graph(first.json["@odata.nextLink"])

    assert [] == first.value
    assert 3 == len(second.value)


async def test_deleted_people_are_elsewhere_and_renamed(stranger: Stranger) -> None:
    """A deleted account is not a user any more, and its name carries its id."""
    missing = await stranger.graph("users/dan@contoso.com")
    deleted = (await stranger.graph("directory/deletedItems/microsoft.graph.user")).value

    assert (404, "Request_ResourceNotFound") == (missing.status, missing.code)
    assert deleted[0]["userPrincipalName"].endswith("0adan@contoso.com")


async def test_disabling_and_resetting_are_kept(stranger: Stranger) -> None:
    """A disabled account stays disabled, a reset shows as a new password date, and no password is written down."""
    path = f"users/{JANE}?$select=accountEnabled,lastPasswordChangeDateTime,signInSessionsValidFromDateTime"
    before = (await stranger.graph(path)).json
    profile = {"forceChangePasswordNextSignIn": True, "password": "Correct-Horse-7-Battery"}
    disabled = await stranger.graph(f"users/{JANE}", "PATCH", {"accountEnabled": False})
    reset = await stranger.graph(f"users/{JANE}", "PATCH", {"passwordProfile": profile})
    revoked = await stranger.graph(f"users/{JANE}/revokeSignInSessions", "POST")
    after = (await stranger.graph(path)).json

    assert [204, 204, 200] == [disabled.status, reset.status, revoked.status]
    assert after["accountEnabled"] is False
    assert after["lastPasswordChangeDateTime"] > before["lastPasswordChangeDateTime"]
    assert after["signInSessionsValidFromDateTime"] > before["signInSessionsValidFromDateTime"]
    assert "Correct-Horse" not in (await stranger.control("journal", "GET")).raw.decode()


async def test_administrators_synced_users_and_weak_passwords_are_refused(stranger: Stranger) -> None:
    """An administrator needs more than a permission, a synchronised user another system, a password some strength."""
    admin = await stranger.graph(f"users/{GRACE}", "PATCH", {"accountEnabled": False})
    synced = await stranger.graph(f"users/{SVEN}", "PATCH", {"accountEnabled": False})
    weak = await stranger.graph(f"users/{JANE}", "PATCH", {"passwordProfile": {"password": "password"}})

    assert (403, "Authorization_RequestDenied") == (admin.status, admin.code)
    assert (400, "Request_BadRequest") == (synced.status, synced.code)
    assert (400, "Request_BadRequest") == (weak.status, weak.code)


async def test_group_membership_reaches_through_nested_groups(stranger: Stranger) -> None:
    """Megan is a mail responder through another group, which only the transitive questions tell."""
    direct = await stranger.graph(f"users/{MEGAN}/memberOf/microsoft.graph.group")
    checked = await stranger.graph(f"users/{MEGAN}/checkMemberGroups", "POST", {"groupIds": [MAIL_RESPONDERS]})
    members = await stranger.graph(f"groups/{MAIL_RESPONDERS}/transitiveMembers/microsoft.graph.user")

    assert MAIL_RESPONDERS not in [group["id"] for group in direct.value]
    assert [MAIL_RESPONDERS] == checked.value
    assert [MEGAN] == [person["id"] for person in members.value]


async def test_role_holders_show_a_directory_role_among_their_groups(stranger: Stranger) -> None:
    """Memberships mix groups and roles, told apart by type."""
    kinds = [item["@odata.type"] for item in (await stranger.graph(f"users/{GRACE}/memberOf")).value]
    roles = await stranger.graph(f"roleManagement/directory/roleAssignments?$filter=principalId eq '{GRACE}'")

    assert {"#microsoft.graph.group", "#microsoft.graph.directoryRole"} == set(kinds)
    assert [GRACE] == [role["principalId"] for role in roles.value]


# --- Graph: evidence ----------------------------------------------------------------------------------------------


async def test_sign_ins_tell_of_the_attack(stranger: Stranger) -> None:
    """Jane's recent sign-ins fail from Nigeria until one succeeds; v1.0 shows no background sign-ins."""
    since = (datetime.now(UTC) - timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = await stranger.graph(f"auditLogs/signIns?$filter=userId eq '{JANE}' and createdDateTime ge {since}")
    times = [sign_in["createdDateTime"] for sign_in in answer.value]
    outcomes = {sign_in["status"]["errorCode"] for sign_in in answer.value}

    assert times == sorted(times, reverse=True)
    assert {0, 50126} == outcomes
    assert all(sign_in["isInteractive"] for sign_in in answer.value)


async def test_sign_ins_have_the_fields_of_the_published_example(stranger: Stranger) -> None:
    """Every field Microsoft prints is there."""
    if not GRAPH_EXAMPLES.is_dir():
        pytest.skip("the published examples are not here")
    printed = json.loads((GRAPH_EXAMPLES / "signin-get-v1.json").read_text())["value"][0]
    shown = (await stranger.graph("auditLogs/signIns?$top=1")).value[0]

    assert set(printed) <= set(shown)
    assert set(printed["deviceDetail"]) == set(shown["deviceDetail"])


async def test_a_time_in_quotes_is_refused(stranger: Stranger) -> None:
    """Times stand in a filter without quotes."""
    assert 400 == (await stranger.graph("auditLogs/signIns?$filter=createdDateTime ge '2026-01-01T00:00:00Z'")).status


async def test_reports_allow_five_requests_in_ten_seconds(stranger: Stranger) -> None:
    """The sixth request is throttled and told how long to wait; after that it goes through."""
    statuses = [(await stranger.graph("auditLogs/directoryAudits?$top=1")).status for _ in range(5)]
    sixth = await stranger.graph("auditLogs/signIns?$top=1")
    await stranger.control("state", body={"advance_s": int(sixth.headers["Retry-After"])})

    assert [200] * 5 == statuses
    assert 429 == sixth.status
    assert 200 == (await stranger.graph("auditLogs/signIns?$top=1")).status


async def test_identity_protection_throttles_without_saying_how_long(stranger: Stranger) -> None:
    """One request a second for the whole tenant, conditional access included, and no Retry-After."""
    first = await stranger.graph("identityProtection/riskyUsers")
    second = await stranger.graph("identity/conditionalAccess/policies")

    assert [200, 429] == [first.status, second.status]
    assert "Retry-After" not in second.headers


async def test_risk_detections_come_twenty_at_a_time_with_json_in_a_string(stranger: Stranger) -> None:
    """The default page holds 20; additional information is a string that holds JSON; new kinds of event appear."""
    page = await stranger.graph("identityProtection/riskDetections")

    assert 20 == len(page.value)
    assert "@odata.nextLink" in page.json
    assert "userAgent" == json.loads(page.value[0]["additionalInfo"])[0]["Key"]
    assert "tokenWeatherAnomaly" in {detection["riskEventType"] for detection in page.value}


async def test_confirming_compromise_is_kept_and_remembered(stranger: Stranger) -> None:
    """The risk state changes, and the earlier one goes into the history."""
    body = {"userIds": [JANE]}
    confirmed = await stranger.graph("identityProtection/riskyUsers/confirmCompromised", "POST", body)
    await stranger.control("state", body={"forget_throttling": True})
    risky = (await stranger.graph(f"identityProtection/riskyUsers/{JANE}")).json
    await stranger.control("state", body={"forget_throttling": True})
    history = (await stranger.graph(f"identityProtection/riskyUsers/{JANE}/history")).value

    assert 204 == confirmed.status
    assert "confirmedCompromised" == risky["riskState"]
    assert "atRisk" == history[0]["riskState"]


@pytest.mark.parametrize(
    ("licences", "path", "status", "code"),
    [
        (
            {"p1": False, "p2": False},
            "auditLogs/signIns",
            403,
            "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
        ),
        ({"p2": False}, "identityProtection/riskyUsers", 403, "Forbidden"),
        (
            {"p2": False},
            "roleManagement/directory/roleEligibilityScheduleInstances",
            400,
            "AadPremiumLicenseRequired",
        ),
        ({"defender": False}, "security/alerts_v2", 401, "Unauthorized"),
        ({"purview_audit": False}, "security/auditLog/queries", 403, "Forbidden"),
        ({"message_trace": False}, "admin/exchange/tracing/messageTraces", 401, "Unauthorized"),
    ],
)
async def test_what_is_not_licensed_is_refused_in_its_own_words(
    stranger: Stranger, licences: dict[str, bool], path: str, status: int, code: str
) -> None:
    """Each feature refuses an unlicensed tenant differently."""
    await stranger.control("state", body={"licences": licences})
    refused = await stranger.graph(path)

    assert (status, code) == (refused.status, refused.code)


async def test_without_p2_the_risk_of_a_sign_in_is_hidden(stranger: Stranger) -> None:
    """P1 shows sign-ins, but says `hidden` where P2 would say how risky they were."""
    await stranger.control("state", body={"licences": {"p2": False}})
    levels = {sign_in["riskLevelAggregated"] for sign_in in (await stranger.graph("auditLogs/signIns")).value}

    assert {"hidden"} == levels


@pytest.mark.parametrize(
    ("permission", "path", "code"),
    [
        ("User.RevokeSessions.All", f"users/{JANE}/revokeSignInSessions", "Authorization_RequestDenied"),
        ("AuditLog.Read.All", "auditLogs/signIns", "Authentication_MSGraphPermissionMissing"),
        ("MailboxSettings.ReadWrite", f"users/{JANE}/mailFolders/inbox/messageRules/x", "ErrorAccessDenied"),
    ],
)
async def test_a_permission_taken_away_is_a_403(stranger: Stranger, permission: str, path: str, code: str) -> None:
    """The code of a missing permission depends on the service behind the path."""
    await stranger.control("state", body={"take_away": [permission]})
    method = {"User": "POST", "Audi": "GET", "Mail": "DELETE"}[permission[:4]]
    refused = await stranger.graph(path, method)

    assert (403, code) == (refused.status, refused.code)


async def test_a_unified_audit_query_takes_its_time(stranger: Stranger) -> None:
    """A query starts, runs, succeeds; before that it has no records."""
    now = datetime.now(UTC)
    body = {
        "displayName": "jane",
        "filterStartDateTime": (now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "filterEndDateTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "operationFilters": ["New-InboxRule"],
        "userPrincipalNameFilters": ["jane@contoso.com"],
    }
    created = await stranger.graph("security/auditLog/queries", "POST", body)
    path = f"security/auditLog/queries/{created.json['id']}"
    early = await stranger.graph(f"{path}/records")
    statuses = [created.json["status"]] + [(await stranger.graph(path)).json["status"] for _ in range(2)]
    late = await stranger.graph(f"{path}/records")

    assert 201 == created.status
    assert ["notStarted", "running", "succeeded"] == statuses
    assert (0, 2) == (len(early.value), len(late.value))


async def test_message_traces_have_a_window_and_a_varying_spelling(stranger: Stranger) -> None:
    """Statuses come in mixed case; more than ten days at once is refused."""
    rows = (
        await stranger.graph("admin/exchange/tracing/messageTraces?$filter=senderAddress eq 'jane@contoso.com'")
    ).value
    old = (datetime.now(UTC) - timedelta(days=11)).strftime("%Y-%m-%dT%H:%M:%SZ")
    wide = await stranger.graph(f"admin/exchange/tracing/messageTraces?$filter=receivedDateTime ge {old}")

    assert 241 == len(rows)
    assert {"delivered", "Delivered"} <= {row["status"] for row in rows}
    assert 400 == wide.status


async def test_alerts_name_the_account_and_cannot_be_filtered_by_title(stranger: Stranger) -> None:
    """A restriction raises an alert whose evidence holds the account, among evidence of unknown kinds."""
    source = "$filter=serviceSource eq 'microsoftDefenderForOffice365'"
    alerts = (await stranger.graph(f"security/alerts_v2?{source}")).value
    restricted = [alert for alert in alerts if alert["title"] == "User restricted from sending email"]
    accounts = {
        item["userAccount"]["userPrincipalName"]
        for alert in restricted
        for item in alert["evidence"]
        if item["@odata.type"].endswith("userEvidence")
    }

    assert {"jane@contoso.com", "omar@contoso.com", "tove@contoso.com"} <= accounts
    assert 400 == (await stranger.graph("security/alerts_v2?$filter=title eq 'x'")).status


async def test_an_app_grant_is_revoked_once(stranger: Stranger) -> None:
    """A deleted grant is gone, and deleting it again is a 404."""
    grants = (await stranger.graph(f"users/{JANE}/oauth2PermissionGrants")).value
    risky = next(grant for grant in grants if "Mail.ReadWrite" in grant["scope"])
    publisher = (await stranger.graph(f"servicePrincipals/{risky['clientId']}")).json["verifiedPublisher"]
    statuses = [(await stranger.graph(f"oauth2PermissionGrants/{risky['id']}", "DELETE")).status for _ in range(2)]

    assert publisher["displayName"] is None
    assert [204, 404] == statuses


async def test_sign_in_methods_disagree_on_the_name_of_a_date(stranger: Stranger) -> None:
    """A security key says `creationDateTime`, others `createdDateTime`, a phone nothing; a method can be deleted."""
    methods = (await stranger.graph(f"users/{JANE}/authentication/methods")).value
    dates = {item["@odata.type"].split(".")[-1]: {key for key in item if "DateTime" in key} for item in methods}
    app = next(item for item in methods if "microsoftAuthenticator" in item["@odata.type"])
    path = f"users/{JANE}/authentication/microsoftAuthenticatorMethods/{app['id']}"

    assert {"creationDateTime"} == dates["fido2AuthenticationMethod"]
    assert set() == dates["phoneAuthenticationMethod"]
    assert [204, 404] == [(await stranger.graph(path, "DELETE")).status for _ in range(2)]


async def test_a_temporary_access_pass_is_shown_once(stranger: Stranger) -> None:
    """Only the answer that creates a pass holds it; a second one is refused; it ends by itself."""
    path = f"users/{INES}/authentication/temporaryAccessPassMethods"
    created = await stranger.graph(path, "POST", {"lifetimeInMinutes": 60, "isUsableOnce": True})
    listed = (await stranger.graph(path)).value
    second = await stranger.graph(path, "POST", {})
    await stranger.control("state", body={"advance_s": 3601})

    assert 201 == created.status and created.json["temporaryAccessPass"]
    assert [None] == [method["temporaryAccessPass"] for method in listed]
    assert 400 == second.status
    assert [] == (await stranger.graph(path)).value


async def test_the_secure_score_is_47_of_120(stranger: Stranger) -> None:
    """The score is the sum of its controls, whose profiles name them."""
    score = (await stranger.graph("security/secureScores?$top=1")).value[0]
    profiles = {profile["id"] for profile in (await stranger.graph("security/secureScoreControlProfiles")).value}

    assert (47.0, 120.0) == (score["currentScore"], score["maxScore"])
    assert {control["controlName"] for control in score["controlScores"]} <= profiles


# --- Graph: mail --------------------------------------------------------------------------------------------------


async def test_graph_shows_visible_rules_with_folder_ids(stranger: Stranger) -> None:
    """The hidden rule is not there, and the rule that hides mail names its folder by id alone."""
    rules = (await stranger.graph(f"users/{JANE}/mailFolders/inbox/messageRules")).value
    bad = next(rule for rule in rules if rule["displayName"] == ".")
    folder = (await stranger.graph(f"users/{JANE}/mailFolders/{bad['actions']['moveToFolder']}")).json

    assert ["Team newsletter", "."] == [rule["displayName"] for rule in rules]
    assert "RSS-prenumerationer" == folder["displayName"]
    assert "conditions" not in bad


async def test_a_rule_disabled_through_graph_is_disabled_for_exchange(stranger: Stranger) -> None:
    """Both services show the same rules; Graph's id is the number Exchange gives."""
    rules = (await stranger.graph(f"users/{JANE}/mailFolders/inbox/messageRules")).value
    bad = next(rule for rule in rules if rule["displayName"] == ".")
    path = f"users/{JANE}/mailFolders/inbox/messageRules/{quote(bad['id'], safe='')}"
    answer = await stranger.graph(path, "PATCH", {"isEnabled": False})
    number = int.from_bytes(base64.b64decode(bad["id"]), "little")
    seen = (await stranger.cmdlet("Get-InboxRule", Mailbox="jane@contoso.com", Identity=str(number))).value[0]

    assert (200, False) == (answer.status, answer.json["isEnabled"])
    assert (".", number, False) == (seen["Name"], seen["RuleIdentity"], seen["Enabled"])


async def test_mail_folders_come_ten_at_a_time(stranger: Stranger) -> None:
    """The default page of folders is small."""
    answer = await stranger.graph(f"users/{JANE}/mailFolders")

    assert 10 == len(answer.value)
    assert 2 == len((await stranger.graph(answer.json["@odata.nextLink"])).value)


async def test_somebody_without_mailbox_has_no_rules(stranger: Stranger) -> None:
    """A missing mailbox is an error of its own."""
    answer = await stranger.graph("users/nils@contoso.com/mailFolders/inbox/messageRules")

    assert (404, "ErrorNonExistentMailbox") == (answer.status, answer.code)


async def test_outlook_serves_four_requests_at_once(stranger: Stranger) -> None:
    """The fifth concurrent mailbox request of an application is throttled."""
    await stranger.control("state", body={"switches": {"latency_s": 0.05}})
    await stranger.token(GRAPH)
    answers = await asyncio.gather(*(stranger.graph(f"users/{JANE}/mailboxSettings") for _ in range(5)))

    assert [200, 200, 200, 200, 429] == sorted(answer.status for answer in answers)


# --- Graph: batches and strange requests --------------------------------------------------------------------------


async def test_a_batch_answers_each_request_for_itself(stranger: Stranger) -> None:
    """Statuses are inside, answers come in another order, and what depends on a failure is not tried."""
    asked = [
        {"id": "1", "method": "GET", "url": f"/users/{JANE}?$select=id"},
        {"id": "2", "method": "GET", "url": "/users/nobody@contoso.com"},
        {"id": "3", "method": "GET", "url": f"/users/{INES}", "dependsOn": ["2"]},
        {"id": "4", "method": "POST", "url": f"/users/{INES}/revokeSignInSessions"},
    ]
    answer = await stranger.graph("$batch", "POST", {"requests": asked})
    statuses = {inner["id"]: inner["status"] for inner in answer.json["responses"]}

    assert {"1": 200, "2": 404, "3": 424, "4": 200} == statuses
    assert ["1", "2", "3", "4"] != [inner["id"] for inner in answer.json["responses"]]


async def test_requests_inside_a_batch_are_throttled_one_by_one(stranger: Stranger) -> None:
    """The batch succeeds although some of it was throttled."""
    asked = [{"id": str(number), "method": "GET", "url": "/auditLogs/signIns?$top=1"} for number in range(1, 8)]
    answer = await stranger.graph("$batch", "POST", {"requests": asked})
    throttled = [inner for inner in answer.json["responses"] if inner["status"] == 429]

    assert (200, 2) == (answer.status, len(throttled))
    assert all("Retry-After" in inner["headers"] for inner in throttled)


async def test_a_batch_holds_twenty_requests(stranger: Stranger) -> None:
    """The twenty-first is too many for all of them."""
    asked = [{"id": str(number), "method": "GET", "url": "/organization"} for number in range(1, 22)]

    assert 400 == (await stranger.graph("$batch", "POST", {"requests": asked})).status


async def test_unknown_paths_and_methods_are_told_apart(stranger: Stranger) -> None:
    """An unknown segment is a 400, a wrong method a 405."""
    assert 400 == (await stranger.graph("frobnicate")).status
    assert 405 == (await stranger.graph("subscribedSkus", "DELETE")).status


# --- Exchange -----------------------------------------------------------------------------------------------------


async def test_the_restricted_list_holds_names_as_exchange_keeps_them(stranger: Stranger) -> None:
    """Pia is listed under her user principal name, not her address; the scanner under its address."""
    listed = {entry["SenderAddress"]: entry for entry in (await stranger.cmdlet("Get-BlockedSenderAddress")).value}
    by_mail = await stranger.cmdlet("Get-BlockedSenderAddress", SenderAddress="pia.oberg@contoso.com")

    assert {"jane@contoso.com", "pia@contoso.com", "scanner@contoso.com"} <= set(listed)
    assert [] == by_mail.value
    assert listed["tove@contoso.com"]["TemporaryBlock"] in (True, "True")
    assert len({entry["CreatedDatetime"][4] for entry in listed.values()}) > 1  # more than one spelling of dates


async def test_an_unblocked_sender_vanishes_late_and_then_mails_again(stranger: Stranger) -> None:
    """The cmdlet answers at once, the list follows, and some time later a message gets out."""
    switches = {"unblock_delay_s": 30, "sending_delay_s": 600, "mail_after_unblock": True}
    await stranger.control("state", body={"switches": switches})
    answer = await stranger.cmdlet("Remove-BlockedSenderAddress", SenderAddress="jane@contoso.com")
    at_once = await stranger.cmdlet("Get-BlockedSenderAddress", SenderAddress="jane@contoso.com")
    await stranger.control("state", body={"advance_s": 31})
    later = await stranger.cmdlet("Get-BlockedSenderAddress", SenderAddress="jane@contoso.com")
    await stranger.control("state", body={"advance_s": 601})
    trace = await stranger.cmdlet("Get-MessageTraceV2", SenderAddress="jane@contoso.com", ResultSize=1)

    assert (200, []) == (answer.status, answer.value)
    assert (1, 0) == (len(at_once.value), len(later.value))
    assert ("Back again", "Delivered") == (trace.value[0]["Subject"], trace.value[0]["Status"])


async def test_the_number_of_unblocks_is_limited(stranger: Stranger) -> None:
    """Beyond it, the error sends the reader to Microsoft Support."""
    await stranger.control("state", body={"switches": {"remaining_unblocks": 1}})
    first = await stranger.cmdlet("Remove-BlockedSenderAddress", SenderAddress="jane@contoso.com")
    again = await stranger.cmdlet("Remove-BlockedSenderAddress", SenderAddress="jane@contoso.com")
    second = await stranger.cmdlet("Remove-BlockedSenderAddress", SenderAddress="omar@contoso.com")

    assert [200, 404, 400] == [first.status, again.status, second.status]
    assert "Microsoft Support" in second.cmdlet_text


async def test_a_temporary_block_stays_until_midnight(stranger: Stranger) -> None:
    """Removing it reports success and does nothing; midnight in UTC ends it."""
    removed = await stranger.cmdlet("Remove-BlockedSenderAddress", SenderAddress="tove@contoso.com")
    after = await stranger.cmdlet("Get-BlockedSenderAddress", SenderAddress="tove@contoso.com")
    await stranger.control("state", body={"advance_s": 86_400})
    next_day = await stranger.cmdlet("Get-BlockedSenderAddress", SenderAddress="tove@contoso.com")

    assert 200 == removed.status and removed.json["@adminapi.warnings"]
    assert (1, 0) == (len(after.value), len(next_day.value))


async def test_hidden_rules_show_on_request_and_folders_by_name(stranger: Stranger) -> None:
    """`IncludeHidden` adds the attacker's hidden rule and the system's own."""
    plain = await stranger.cmdlet("Get-InboxRule", Mailbox="jane@contoso.com")
    everything = (await stranger.cmdlet("Get-InboxRule", Mailbox="jane@contoso.com", IncludeHidden=True)).value
    names = [rule["Name"] for rule in everything]
    bad = next(rule for rule in everything if rule["Name"] == ".")

    assert {"Team newsletter", "."} == {rule["Name"] for rule in plain.value}
    assert {"sync", "Junk E-Mail Rule", "Microsoft.Exchange.OOF.KindExternal"} <= set(names)
    assert bad["MoveToFolder"].endswith(":\\RSS-prenumerationer")
    assert ['"Collector" [SMTP:collector.x91@mailbox-drop.example]'] == bad["ForwardTo"]


async def test_touching_rules_through_exchange_deletes_outlooks_own(stranger: Stranger) -> None:
    """Disabling a rule costs the user the rules that live in Outlook, and says so in a warning."""
    answer = await stranger.cmdlet("Disable-InboxRule", Mailbox="jane@contoso.com", Identity="sync")
    jane = next(person for person in (await stranger.control("state", "GET")).json["people"] if person["oid"] == JANE)

    assert (200, []) == (answer.status, answer.value)
    assert answer.json["@adminapi.warnings"]
    assert jane["mailbox"]["client_side_rules_deleted"] is True


async def test_a_delegate_rule_cannot_be_disabled(stranger: Stranger) -> None:
    """Rules of other programs refuse to be changed."""
    answer = await stranger.cmdlet("Disable-InboxRule", Mailbox="grace@contoso.com", Identity="Delegate Rule -8069403")

    assert 400 == answer.status


async def test_forwarding_is_cleared_with_null(stranger: Stranger) -> None:
    """Null empties the address; a second time nothing changes, which is a warning and no error."""
    clear = {"ForwardingSmtpAddress": None, "ForwardingAddress": None, "DeliverToMailboxAndForward": False}
    before = (await stranger.cmdlet("Get-Mailbox", Identity="jane@contoso.com")).value[0]
    await stranger.cmdlet("Set-Mailbox", Identity=JANE, **clear)
    again = await stranger.cmdlet("Set-Mailbox", Identity=JANE, **clear)
    after = (await stranger.cmdlet("Get-Mailbox", Identity="jane@contoso.com")).value[0]

    assert "smtp:collector.x91@mailbox-drop.example" == before["ForwardingSmtpAddress"]
    assert (None, False) == (after["ForwardingSmtpAddress"], after["DeliverToMailboxAndForward"])
    assert 200 == again.status and again.json["@adminapi.warnings"]


async def test_a_change_may_show_late(stranger: Stranger) -> None:
    """With a delay ordered, a mailbox read right after a change shows the old state."""
    await stranger.control("state", body={"switches": {"mailbox_delay_s": 20}})
    await stranger.cmdlet("Set-CASMailbox", Identity=JANE, ImapEnabled=False)
    at_once = (await stranger.cmdlet("Get-CASMailbox", Identity=JANE)).value[0]["ImapEnabled"]
    await stranger.control("state", body={"advance_s": 21})
    later = (await stranger.cmdlet("Get-CASMailbox", Identity=JANE)).value[0]["ImapEnabled"]

    assert (True, False) == (at_once, later)


async def test_pages_are_asked_for_by_posting_again(stranger: Stranger) -> None:
    """The same body posted to the next link gives the rest; all mailboxes without ResultSize begin with one."""
    first = await stranger.cmdlet("Get-BlockedSenderAddress", prefer="odata.maxpagesize=5")
    second = await stranger.cmdlet("Get-BlockedSenderAddress", url=first.json["@odata.nextLink"])
    trap = await stranger.cmdlet("Get-Mailbox")

    assert (5, 26) == (len(first.value), len(second.value))
    assert 1 == len(trap.value)
    assert "@odata.nextLink" in trap.json and trap.json["@adminapi.warnings"]


async def test_what_is_not_there_is_wrapped_with_everything_nobody_should_see(stranger: Stranger) -> None:
    """The text for people is the last part of a detail; around it are stack traces and server names."""
    answer = await stranger.cmdlet("Get-Mailbox", Identity="nobody@contoso.com")

    assert (404, "NotFound", "Error executing cmdlet") == (
        answer.status,
        answer.code,
        answer.json["error"]["message"],
    )
    assert answer.cmdlet_text.startswith("The operation couldn't be performed because object 'nobody@contoso.com'")
    assert "stacktrace" in answer.json["error"]["innererror"]["internalexception"]


async def test_wrong_parameters_are_named(stranger: Stranger) -> None:
    """A parameter the cmdlet does not know is an error, not something to overlook."""
    answer = await stranger.cmdlet("Get-BlockedSenderAddress", Address="jane@contoso.com")

    assert "parameter name 'Address'" in answer.cmdlet_text


async def test_refusals_of_exchange_come_in_two_kinds(stranger: Stranger) -> None:
    """NUL bytes for an unknown cmdlet or a missing permission, a sentence for a missing role."""
    unknown = await stranger.cmdlet("Get-Frobnicator")
    await stranger.control("state", body={"exchange_role": "Global Reader"})
    read_only = await stranger.cmdlet("Remove-BlockedSenderAddress", SenderAddress="jane@contoso.com")
    rules = await stranger.cmdlet("Get-InboxRule", Mailbox="jane@contoso.com")
    await stranger.control("state", body={"take_away": ["Exchange.ManageAsApp"], "resource": EXCHANGE})
    no_permission = await stranger.cmdlet("Get-BlockedSenderAddress")

    assert (403, b"") == (unknown.status, unknown.raw.strip(b"\0"))
    assert [403, 403] == [read_only.status, rules.status]
    assert "not present in the role definition" in rules.cmdlet_text
    assert (403, b"") == (no_permission.status, no_permission.raw.strip(b"\0"))


async def test_the_route_exists_in_beta_and_needs_its_headers(stranger: Stranger) -> None:
    """v1.0 answers 405; without an anchor mailbox nothing is routed; Graph's token is not Exchange's."""
    origin, tenant_id = stranger.sandbox.origin, stranger.sandbox.tenant.tenant_id
    url = f"{origin}/adminapi/beta/{tenant_id}/InvokeCommand"
    body = {"CmdletInput": {"CmdletName": "Get-BlockedSenderAddress", "Parameters": {}}}
    bearer = {"Authorization": f"Bearer {await stranger.token(EXCHANGE)}"}
    v1 = await stranger.cmdlet("Get-Mailbox", url=url.replace("beta", "v1.0"))
    no_anchor = await stranger.send("POST", url, body, bearer)
    wrong_token = await stranger.send("POST", url, body, {"Authorization": f"Bearer {await stranger.token(GRAPH)}"})

    assert [405, 400, 401] == [v1.status, no_anchor.status, wrong_token.status]


async def test_alert_policies_belong_to_security_and_compliance(stranger: Stranger) -> None:
    """Exchange does not know the cmdlet; the compliance service sends its callers to a regional host first."""
    unknown = await stranger.cmdlet("Get-ProtectionAlert")
    redirect = await stranger.cmdlet("Get-ProtectionAlert", resource=COMPLIANCE)
    answer = await stranger.cmdlet("Get-ProtectionAlert", resource=COMPLIANCE, url=redirect.headers["Location"])
    audit = await stranger.cmdlet("Get-AdminAuditLogConfig", resource=COMPLIANCE, url=redirect.headers["Location"])

    assert [403, 302, 200] == [unknown.status, redirect.status, answer.status]
    assert "User restricted from sending email" in {row["Name"] for row in answer.value}
    assert audit.value[0]["UnifiedAuditLogIngestionEnabled"] is False


async def test_a_message_trace_goes_on_from_its_last_row(stranger: Stranger) -> None:
    """There is no next link: the last row's time and recipient are where to go on, and no row is lost or doubled."""
    found: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = await stranger.cmdlet("Get-MessageTraceV2", SenderAddress="jane@contoso.com", ResultSize=100, **more)
        found += [row["MessageTraceId"] for row in page.value]
        if len(page.value) < 100:
            break
        more = {"EndDate": page.value[-1]["Received"], "StartingRecipientAddress": page.value[-1]["RecipientAddress"]}

    assert 241 == len(found) == len(set(found))
    assert "@odata.nextLink" not in page.json


async def test_the_outbound_policy_can_be_changed_within_limits(stranger: Stranger) -> None:
    """A change is kept; a limit beyond 10,000 is refused."""
    name = "Set-HostedOutboundSpamFilterPolicy"
    await stranger.cmdlet(name, Identity="Default", AutoForwardingMode="off", RecipientLimitPerDay=500)
    refused = await stranger.cmdlet(name, Identity="Default", RecipientLimitPerDay=10_001)
    policy = (await stranger.cmdlet("Get-HostedOutboundSpamFilterPolicy", Identity="Default")).value[0]

    assert 400 == refused.status
    assert ("Off", 500) == (policy["AutoForwardingMode"], policy["RecipientLimitPerDay"])


async def test_every_value_may_carry_its_type_beside_it(stranger: Stranger) -> None:
    """Lists and numbers have a sibling key that names their type."""
    row = (await stranger.cmdlet("Get-Mailbox", Identity=JANE)).value[0]

    assert "#Collection(String)" == row["EmailAddresses@odata.type"]
    assert "System.Guid" == row["ExchangeGuid@data.type"]


# --- control ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status"),
    [("throttle", 429), ("throttle_without_retry_after", 429), ("unavailable", 503), ("licence", 403)],
)
async def test_a_fault_strikes_as_often_as_ordered(stranger: Stranger, kind: str, status: int) -> None:
    """A fault hits the requests it names, so many times, and is written down with them."""
    order = {"match": {"service": "graph", "path_regex": "users/.*jane"}, "kind": kind, "times": 1, "retry_after_s": 7}
    await stranger.control("faults", body=order)
    other = await stranger.graph("organization")
    struck = await stranger.graph("users/jane@contoso.com")
    after = await stranger.graph("users/jane@contoso.com")

    assert [200, status, 200] == [other.status, struck.status, after.status]
    assert ("7" if kind == "throttle" else None) == struck.headers.get("Retry-After")
    assert kind == stranger.sandbox.journal.requests(service="graph", status=status)[0].fault


async def test_an_answer_can_get_lost_after_the_change_was_made(stranger: Stranger) -> None:
    """The connection is cut, and yet the sender is unblocked."""
    await stranger.token(EXCHANGE)
    order = {"match": {"cmdlet": "Remove-BlockedSenderAddress"}, "kind": "drop_connection", "after": True}
    await stranger.control("faults", body=order)

    with pytest.raises(aiohttp.ClientError):
        await stranger.cmdlet("Remove-BlockedSenderAddress", SenderAddress="jane@contoso.com")

    assert [] == (await stranger.cmdlet("Get-BlockedSenderAddress", SenderAddress="jane@contoso.com")).value


async def test_an_answer_can_be_broken(stranger: Stranger) -> None:
    """Broken JSON comes with a good status."""
    await stranger.control("faults", body={"kind": "broken_json", "times": 1, "match": {"service": "graph"}})
    answer = await stranger.graph("organization")

    assert 200 == answer.status
    with pytest.raises(ValueError):
        _ = answer.json


async def test_a_slow_service_does_not_hold_up_the_others(stranger: Stranger) -> None:
    """While one request is slow, another is answered."""
    await stranger.token(GRAPH)
    await stranger.control("faults", body={"kind": "slow", "seconds": 0.3, "match": {"path_regex": "organization"}})
    slow = asyncio.create_task(stranger.graph("organization"))
    fast = await stranger.graph("subscribedSkus")

    assert 200 == fast.status and not slow.done()
    assert 200 == (await slow).status


async def test_nonsense_orders_are_refused(stranger: Stranger) -> None:
    """An unknown fault or switch is a 400 that names it."""
    assert 400 == (await stranger.control("faults", body={"kind": "gremlins"})).status
    assert 400 == (await stranger.control("state", body={"switches": {"gremlins": True}})).status
    assert 400 == (await stranger.control("state", body={"gremlins": True})).status


async def test_a_block_made_for_a_test_comes_with_its_alert(stranger: Stranger) -> None:
    """Blocking by an address lists the user principal name and raises the alert; unblocking takes either name."""
    await stranger.control("state", body={"unblock": "pia@contoso.com"})
    blocked = (await stranger.control("state", body={"block": {"address": "p.oberg@contoso.com"}})).json["blocked"]
    newest = (await stranger.graph("security/alerts_v2?$top=1")).value[0]
    left = (await stranger.control("state", body={"unblock": "pia.oberg@contoso.com"})).json["blocked"]

    assert "pia@contoso.com" == blocked[-1]["address"]
    assert "User restricted from sending email" == newest["title"]
    assert "pia@contoso.com" not in [entry["address"] for entry in left]


async def test_the_journal_tells_requests_and_changes(stranger: Stranger) -> None:
    """Every request and every change is written down, and can be asked for and forgotten."""
    await stranger.cmdlet("Remove-BlockedSenderAddress", SenderAddress="jane@contoso.com")
    journal = (await stranger.control("journal?cmdlet=Remove-BlockedSenderAddress&action=unblock", "GET")).json
    await stranger.control("journal", "DELETE")
    empty = (await stranger.control("journal", "GET")).json

    assert [{"SenderAddress": "jane@contoso.com"}] == [entry["parameters"] for entry in journal["requests"]]
    assert ["unblock requested", "sender unblocked"] == [change["action"] for change in journal["changes"]]
    assert {"requests": [], "changes": []} == empty


async def test_secrets_of_signing_in_are_struck_out(stranger: Stranger) -> None:
    """The journal shows that somebody signed in, not with what."""
    await stranger.token(GRAPH)
    raw = (await stranger.control("journal?service=login", "GET")).raw.decode()

    assert "client_credentials" in raw
    assert stranger.sandbox.settings()["app_secret"] not in raw


async def test_a_reset_brings_back_the_beginning(stranger: Stranger) -> None:
    """People, switches, faults and clock are as at the start, for tokens already held too."""
    await stranger.graph(f"users/{JANE}", "PATCH", {"accountEnabled": False})
    await stranger.control("state", body={"switches": {"remaining_unblocks": 0}, "advance_s": 9999})
    await stranger.control("reset")
    jane = (await stranger.graph(f"users/{JANE}?$select=accountEnabled")).json
    state = (await stranger.control("state", "GET")).json

    assert jane["accountEnabled"] is True
    assert 10 == state["switches"]["remaining_unblocks"]
    assert 31 == len(state["blocked"])
    assert abs(datetime.fromisoformat(state["now"]) - datetime.now(UTC)) < timedelta(seconds=5)


async def test_the_posture_has_a_switch_for_each_setting(stranger: Stranger) -> None:
    """Policies by name, an outbound policy, points of the score, sign-in methods, domains, and all of it at once."""
    order = {
        "policies": ["block_legacy", "mfa_for_admins"],
        "outbound_policy": {"name": "default", "auto_forwarding": "On"},
        "score": {"AdminMFAV2": 10},
        "methods": {"upn": "jane@contoso.com", "kinds": []},
        "organisation": {"federated_domains": ["contoso.com"]},
        "mailbox": {"upn": "jane@contoso.com", "audit_bypass": True},
    }
    await stranger.control("state", body=order)
    policies = (await stranger.graph("identity/conditionalAccess/policies")).value
    domains = {domain["id"]: domain["authenticationType"] for domain in (await stranger.graph("domains")).value}
    bypass = await stranger.cmdlet("Get-MailboxAuditBypassAssociation", Identity="jane@contoso.com")
    strong = (await stranger.control("state", body={"posture": "strong"})).json

    assert ["block", None] == [next(iter(p["grantControls"]["builtInControls"]), None) for p in policies]
    assert {"contoso.com": "Federated", "contoso.onmicrosoft.com": "Managed"} == domains
    assert [True] == [row["AuditBypassEnabled"] for row in bypass.value]
    assert {"Off"} == {policy["auto_forwarding"] for policy in strong["outbound_policies"]}
    assert [] == strong["organisation"]["federated_domains"]


@pytest.mark.parametrize(
    "order", [{"policies": ["unheard of"]}, {"outbound_policy": {"name": "x"}}, {"score": {"x": 1}}, {"posture": "odd"}]
)
async def test_a_posture_that_makes_no_sense_is_refused(stranger: Stranger, order: dict[str, Any]) -> None:
    """With a line that says what is wrong."""
    assert 400 == (await stranger.control("state", body=order)).status
