"""The Graph client: what it asks for, how it reads the answers, and that no answer can surprise it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from services.clients import graph, odata
from services.clients.clouds import exchange_scope, graph_scope
from services.clients.graph import GraphClient, Place
from services.clients.graph_models import CaPolicy, DirectoryUser
from services.errors import BotError, BrokenAnswer, NotFound, Rejected, ServiceError
from tests.fakes.http import Script, answered

OID = "11111111-2222-3333-4444-555555555555"
PLACE = Place.at("https://graph.microsoft.com")
SINCE = datetime(2026, 11, 17, 9, 0, tzinfo=UTC)
JANE = {"id": OID, "userPrincipalName": "jane@contoso.com", "displayName": "Jane Doe"}


def client(*answers: object) -> tuple[GraphClient, Script]:
    script = Script(*answers)
    return GraphClient(script), script


def path_of(url: str) -> str:
    return urlsplit(url).path


def filter_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["$filter"][0]


# --- addresses and quoting ---


@pytest.mark.parametrize(
    "base",
    [
        "https://graph.microsoft.com",
        "https://graph.microsoft.com/",
        "https://graph.microsoft.com/v1.0",
        "https://graph.microsoft.com/v1.0/",
        "https://graph.microsoft.com/beta",
    ],
)
def test_the_base_url_may_be_written_in_many_ways(base):
    """
    A slash or a version behind the address does not matter.
    """
    assert graph.build_security_defaults(Place.at(base)).url.startswith("https://graph.microsoft.com/v1.0/policies/")


def test_a_proxy_may_have_a_path():
    """
    Behind a gateway with a path the calls go there, and the token is still one for Graph.
    """
    request = graph.build_security_defaults(Place.at("https://gateway.example/graph/v1.0"))

    assert request.url.startswith("https://gateway.example/graph/v1.0/policies/")
    assert "https://graph.microsoft.com/.default" == request.scope


@pytest.mark.parametrize(
    ("url", "scope"),
    [
        ("https://graph.microsoft.com", "https://graph.microsoft.com/.default"),
        ("https://graph.microsoft.us", "https://graph.microsoft.us/.default"),
        ("https://DoD-graph.microsoft.us/v1.0", "https://dod-graph.microsoft.us/.default"),
        ("https://microsoftgraph.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn/.default"),
        ("https://127.0.0.1:8443", "https://graph.microsoft.com/.default"),
    ],
)
def test_each_cloud_has_its_own_scope(url, scope):
    """
    A token bears the name of the cloud it is for; an unknown host is taken for a way to the public one.
    """
    assert scope == graph_scope(url)


def test_exchange_scopes_follow_the_same_rule():
    """
    Exchange of the US government has a host, and so a scope, of its own.
    """
    assert "https://outlook.office365.us/.default" == exchange_scope("https://outlook.office365.us")
    assert "https://outlook.office365.com/.default" == exchange_scope("https://127.0.0.1:1")


@pytest.mark.parametrize(
    "name", ["a_b.com#EXT#@contoso.onmicrosoft.com", "a/b+c%d@x.y", "AQAA/+ =", "ö'@x.y", "?$top=1"]
)
def test_ids_survive_as_one_segment_of_the_path(name):
    """
    Guest names, base64 ids and whatever people type arrive as they are and lead nowhere else.
    """
    path = path_of(graph.build_get_user(PLACE, name).url)

    assert ["", "v1.0", "users"] == path.split("/")[:3]
    assert [name] == [unquote(part) for part in path.split("/")[3:]]


@pytest.mark.parametrize("name", ["", " ", ".", ".."])
def test_a_step_in_a_path_is_no_id(name):
    """
    `/users/..` would be another call.
    """
    with pytest.raises(Rejected):
        graph.build_get_user(PLACE, name)


@given(st.text(min_size=1, max_size=40))
def test_no_text_breaks_out_of_a_filter(text):
    """
    Between the quotes of a literal there is never a single quote, so a filter says what we say.
    """
    quoted = odata.literal(text)

    assert "'" not in quoted[1:-1].replace("''", "")


@given(st.text(min_size=1, max_size=40))
def test_any_text_can_be_asked_for(text):
    """
    Building a call never raises anything but our own errors, and what it builds is plain ASCII.
    """
    try:
        assert graph.build_get_user(PLACE, text).url.isascii()
    except ServiceError:
        assert text.strip() in ("", ".", "..")
    assert graph.build_find_users(PLACE, graph.by_address_filter(text)).url.isascii()
    assert graph.build_search_users(PLACE, odata.words(text)).url.isascii()


def test_search_words_lose_what_is_grammar():
    """
    Quotes, colons and backslashes are grammar of `$search`; words are what is left.
    """
    assert ["Jane", "Doe", "OR", "mail", "x"] == odata.words('Jane "Doe" OR mail:x\\')


# --- pages ---


async def test_all_pages_are_read():
    """
    A list is whole only with its last page; the same headers go with every link.
    """
    next_link = "https://graph.microsoft.com/v1.0/users/x/oauth2PermissionGrants?$skiptoken=2"
    grants, script = client(
        {"value": [{"id": "g1", "clientId": "c"}], "@odata.nextLink": next_link},
        {"value": [{"id": "g2", "clientId": "c"}]},
    )

    assert ["g1", "g2"] == [grant.grant_id for grant in await grants.oauth_grants(OID)]
    assert next_link == script.requests[1].url


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1.0/users",
        "http://graph.microsoft.com/v1.0/users",
        "https://graph.microsoft.com:8443/v1.0/users",
        "https://graph.microsoft.com@evil.example/",
        "https://x:y@graph.microsoft.com/",
        "//evil.example",
        "https://[",
        ["https://graph.microsoft.com"],
    ],
)
async def test_a_link_that_leads_elsewhere_is_refused(link):
    """
    Our token would go with it.
    """
    grants, script = client({"value": [], "@odata.nextLink": link}, {"value": []})

    with pytest.raises(BrokenAnswer):
        await grants.oauth_grants(OID)

    assert 1 == len(script.requests)


async def test_a_link_that_repeats_is_refused():
    """
    A service that sends us in circles is broken, and half a list is no list.
    """
    link = "https://graph.microsoft.com/v1.0/again"
    grants, _ = client(*[{"value": [], "@odata.nextLink": link}] * 3)

    with pytest.raises(BrokenAnswer):
        await grants.oauth_grants(OID)


async def test_pages_without_end_are_refused():
    """
    Stopping short in silence would hide things, so it is an error.
    """
    links = [{"value": [], "@odata.nextLink": f"https://graph.microsoft.com/v1.0/{n}"} for n in range(300)]
    grants, script = client(*links)

    with pytest.raises(BrokenAnswer):
        await grants.oauth_grants(OID)

    assert odata.MAX_PAGES == len(script.requests)


async def test_a_limit_stops_the_paging():
    """
    Whoever asks for two sign-ins gets two, and no further page is fetched.
    """
    more = "https://graph.microsoft.com/v1.0/more"
    sign_ins, script = client({"value": [{"id": str(n)} for n in range(5)], "@odata.nextLink": more})

    assert 2 == len(await sign_ins.sign_ins(OID, SINCE, limit=2))
    assert 1 == len(script.requests)


# --- users ---


async def test_text_that_can_be_no_id_costs_no_call():
    """
    "jane" is neither an object id nor a UPN.
    """
    users, script = client()

    assert await users.by_id_or_upn("jane") is None
    assert [] == script.requests


async def test_an_unknown_upn_is_nobody():
    """
    Not found and "cannot be a UPN" are the same answer for somebody who is looking.
    """
    users, _ = client(NotFound("graph"), Rejected("graph", code="Request_BadRequest", status=400))

    assert await users.by_id_or_upn("nobody@contoso.com") is None
    assert await users.by_id_or_upn("a@b@c") is None


async def test_an_address_is_looked_for_in_every_place():
    """
    UPN, mail, aliases and addresses elsewhere; a name without @ is a nickname.
    """
    users, script = client({"value": [JANE]}, {"value": []})

    await users.by_address("o'hara@contoso.com")
    await users.by_address("jane")

    first, second = (filter_of(request.url) for request in script.requests)
    assert "mail eq 'o''hara@contoso.com'" in first
    assert "proxyAddresses/any(p:p eq 'smtp:o''hara@contoso.com')" in first
    assert "mailNickname eq 'jane'" == second


async def test_names_are_tried_from_exact_to_loose():
    """
    A looser search is only made when the stricter one found nobody.
    """
    users, script = client({"value": []}, {"value": []}, {"value": [JANE]})

    found = await users.by_name("doe jane")

    assert ["jane@contoso.com"] == [user.upn for user in found]
    assert "eventual" == script.requests[2].headers["ConsistencyLevel"]
    assert ['"displayName:doe" AND "displayName:jane"'] == parse_qs(urlsplit(script.requests[2].url).query)["$search"]


async def test_deleted_users_have_their_old_name():
    """
    Entra puts the object id before the UPN of a deleted user; somebody whose name merely ends alike is left out.
    """
    bin_, _ = client(
        {
            "value": [
                {"id": OID, "userPrincipalName": OID.replace("-", "") + "dan@contoso.com", "displayName": "Dan"},
                {"id": "2", "userPrincipalName": "2jordan@contoso.com"},
            ]
        }
    )

    assert ["dan@contoso.com"] == [user.upn for user in await bin_.deleted_users("dan@contoso.com")]


def test_a_user_is_read_in_our_words():
    """
    Aliases lose their kind, synced is a plain yes or no, times are in UTC.
    """
    user = graph.parse_user(
        answered(
            {
                **JANE,
                "proxyAddresses": ["SMTP:Jane@contoso.com", "smtp:j@contoso.com", "X500:/o=x", "SIP:jane@contoso.com"],
                "onPremisesSyncEnabled": None,
                "lastPasswordChangeDateTime": "2026-01-02T03:04:05.1234567Z",
                "userType": "Guest",
                "somethingNew": {"a": 1},
            }
        )
    )

    assert ("Jane@contoso.com", "j@contoso.com") == user.aliases
    assert not user.is_synced and user.is_guest
    assert datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC) == user.password_changed_at
    assert user.account_enabled is None


def test_a_user_is_the_subject_of_a_case():
    """
    What the case keeps of a user comes from the directory alone.
    """
    subject = DirectoryUser(oid=OID, upn="jane@contoso.com", display_name="Jane", is_synced=True).subject()

    assert (OID, True, False) == (subject.user_oid, subject.is_synced, subject.is_guest)


@pytest.mark.parametrize("broken", [None, [], "x", {}, {"id": ""}, {**JANE, "id": None}, {**JANE, "displayName": {}}])
def test_a_user_of_the_wrong_shape_is_a_broken_answer(broken):
    """
    Without an identity, or with a container for a name, it is no user.
    """
    with pytest.raises(BrokenAnswer):
        graph.parse_user(answered(broken))


def test_names_lose_what_no_database_can_hold():
    """
    NUL and half a surrogate pair in a display name would stop a case from being stored.
    """
    user = graph.parse_user(answered(b'{"id": "1", "userPrincipalName": "a@b", "displayName": "J\\u0000\\ud800ne"}'))

    assert "J\ufffd\ufffdne" == user.display_name


def test_a_password_goes_out_and_is_shown_nowhere():
    """
    The body holds it; the request's own text does not.
    """
    request = graph.build_reset_password(PLACE, OID, SecretStr("hunter2"), True)

    assert {"passwordProfile": {"forceChangePasswordNextSignIn": True, "password": "hunter2"}} == request.body
    assert "hunter2" not in repr(request)


# --- the rest, by what is special ---


async def test_a_user_who_is_not_risky_is_none():
    """
    404 is ID Protection's way of saying that it has nothing on somebody.
    """
    risk, _ = client(NotFound("graph"))

    assert await risk.risky_user(OID) is None


async def test_a_grant_that_is_gone_counts_as_revoked():
    """
    A repeated step finds its work done.
    """
    apps, _ = client(NotFound("graph"))

    await apps.revoke_grant("g1")


def test_a_sign_in_with_hidden_risk_says_so():
    """
    "hidden" means that the licence does not show it, not that there is none.
    """
    sign_in = graph.parse_sign_in(
        {"id": "1", "riskLevelDuringSignIn": "hidden", "status": {"errorCode": 50126}, "location": None}
    )

    assert sign_in.risk_hidden
    assert sign_in.succeeded is False
    assert sign_in.country is None


def test_values_that_nobody_knows_yet_are_kept():
    """
    Microsoft adds to every list of words.
    """
    detection = graph.parse_risk_detection({"id": "1", "riskEventType": "brandNew", "riskLevel": "unknownFutureValue"})

    assert ("brandNew", "unknownFutureValue") == (detection.kind, detection.risk_level)


def test_additional_info_is_json_in_a_text():
    """
    Keys come with and without capitals; text that is no JSON tells nothing.
    """
    info = '[{"Key":"userAgent","Value":"curl"},{"key":"n","value":3},7]'

    assert {"userAgent": "curl", "n": "3"} == graph.parse_risk_detection({"id": "1", "additionalInfo": info}).info
    assert {} == graph.parse_risk_detection({"id": "1", "additionalInfo": "{"}).info


def test_every_recipient_of_a_rule_is_kept():
    """
    One without an address keeps its name: where mail goes must never be overlooked.
    """
    rule = graph.parse_message_rule(
        {
            "id": "1",
            "actions": {
                "forwardTo": [{"emailAddress": {"name": "A", "address": "a@evil.example"}}],
                "redirectTo": [{"emailAddress": {"name": "Only a name"}}, {}],
            },
            "conditions": {"subjectContains": ["invoice"], "hasAttachments": False, "sensitivity": None},
        }
    )

    assert ("a@evil.example", "Only a name", "?") == rule.forwards_to
    assert {"subjectContains": ["invoice"]} == rule.conditions


@pytest.mark.parametrize("actions", ["forward", [], {"forwardTo": "a@b.c"}, {"forwardTo": ["a@b.c"]}, {"delete": []}])
def test_odd_actions_of_a_rule_are_not_taken_for_harmless(actions):
    """
    Unknown is not clean: a rule whose actions cannot be read is a broken answer.
    """
    with pytest.raises(BrokenAnswer):
        graph.parse_message_rule({"id": "1", "actions": actions})


def test_scopes_are_one_text_on_the_wire():
    """
    They come with spaces anywhere.
    """
    grant = graph.parse_oauth_grant({"id": "1", "clientId": "2", "scope": " Mail.Read  offline_access "})

    assert ("Mail.Read", "offline_access") == grant.scopes
    assert not grant.for_everyone


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("#microsoft.graph.phoneAuthenticationMethod", "phone"),
        ("#microsoft.graph.brandNewAuthenticationMethod", "brandNew"),
        ("#microsoft.graph.somethingElse", "somethingElse"),
        ("", "unknown"),
    ],
)
def test_authentication_methods_of_unknown_kinds_are_kept(kind, read):
    """
    A way in that we do not know is a way in.
    """
    method = graph.parse_auth_method({"id": "1", "@odata.type": kind, "displayName": None, "phoneNumber": "+1"})

    assert (read, "+1") == (method.kind, method.label)


async def test_membership_counts_through_other_groups_and_in_any_case():
    """
    Only groups that were asked for come back; without any there is no call.
    """
    groups, script = client({"value": [{"id": "AAAA"}, {"id": "bbbb"}, {}]})

    assert frozenset({"aaaa"}) == await groups.is_member(OID, ["aaaa", "cccc"])
    assert frozenset() == await groups.is_member(OID, [])
    assert 1 == len(script.requests)


async def test_membership_works_without_the_cast_to_groups():
    """
    Where Graph does not know the cast, all memberships are read instead.
    """
    groups, script = client(Rejected("graph", code="BadRequest"), {"value": [{"id": "g"}]})

    assert frozenset({"g"}) == await groups.is_member(OID, ["G"])
    assert script.requests[1].url.split("?")[0].endswith("/transitiveMemberOf")


async def test_only_people_count_as_members():
    """
    A nested group is among the members and is nobody.
    """
    groups, _ = client(
        {
            "value": [
                {"@odata.type": "#microsoft.graph.group", "id": "g"},
                {**JANE, "@odata.type": "#microsoft.graph.user"},
            ]
        }
    )

    assert ["jane@contoso.com"] == [user.upn for user in await groups.group_members("g")]


def test_a_policy_says_what_it_asks_for():
    """
    Report-only is not enforced; an authentication strength is a second factor too.
    """
    policy = graph.parse_ca_policy(
        {
            "id": "1",
            "state": "enabledForReportingButNotEnforced",
            "conditions": {"users": {"includeUsers": ["All"]}, "clientAppTypes": ["exchangeActiveSync", "other"]},
            "grantControls": {"builtInControls": ["block"], "authenticationStrength": {"displayName": "MFA"}},
        }
    )

    assert policy.report_only and not policy.enforced
    assert policy.for_everyone and policy.requires_mfa and policy.blocks_legacy


def test_models_are_built_by_our_names_and_survive_storing():
    """
    Tests and steps write our field names; what was stored as JSON reads back the same.
    """
    policy = CaPolicy(policy_id="1", name="All", grant_controls=("mfa",))

    assert policy == CaPolicy.model_validate_json(policy.model_dump_json())


def test_a_service_cannot_set_fields_by_our_names():
    """
    A field of ours that happens to be a word in an answer is not read from there.
    """
    assert "" == graph.parse_user(answered({**JANE, "displayName": None, "display_name": "Fake"})).display_name


@pytest.mark.parametrize("body", [{}, {"isEnabled": "maybe"}, [], None])
def test_security_defaults_are_on_off_or_unreadable(body):
    """
    No answer is not "off".
    """
    with pytest.raises(BrokenAnswer):
        graph.parse_security_defaults(answered(body))


# --- hostile input ---

LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
NAMES = [
    "id", "value", "userPrincipalName", "displayName", "clientId", "scope", "status", "location", "actions",
    "forwardTo", "emailAddress", "address", "conditions", "targetResources", "modifiedProperties", "controlScores",
    "controlName",
    "additionalInfo", "evidence", "userAccount", "createdDateTime", "@odata.type", "proxyAddresses", "isEnabled",
    "roleDefinitionId", "grantControls", "users", "controlStateUpdates", "additionalDetails", "initiatedBy", "user",
    "auditData", "clientIp", "UserId", "toRecipients", "bccRecipients", "isManaged", "temporaryAccessPass",
    "startDateTime", "lifetimeInMinutes", "geoCoordinates", "latitude", "isRecordCountLimitExceeded",
]  # fmt: skip
OBJECTS = st.recursive(
    st.dictionaries(st.sampled_from(NAMES), LEAF, max_size=6),
    lambda inner: st.dictionaries(
        st.sampled_from(NAMES), LEAF | inner | st.lists(inner | LEAF, max_size=3), min_size=1, max_size=6
    ),
    max_leaves=8,
)
PARSERS = [
    graph.parse_risk_detection, graph.parse_sign_in, graph.parse_audit_event, graph.parse_message_rule,
    graph.parse_oauth_grant, graph.parse_auth_method, graph.parse_directory_role, graph.parse_ca_policy,
    graph.parse_secure_score, graph.parse_secure_score_control, graph.parse_alert, graph.parse_message_trace,
    graph.parse_audit_record, graph.parse_mail_item, graph.parse_app_assignment, graph.parse_registered_device,
    graph.parse_trace_event, graph.parse_domain,
]  # fmt: skip
READERS = [
    graph.parse_user, graph.parse_risky_user, graph.parse_service_principal, graph.parse_registration,
    graph.parse_security_defaults, graph.parse_access_pass, graph.parse_audit_search, odata.parse_page,
]  # fmt: skip


@given(OBJECTS)
def test_no_object_breaks_a_parser(data):
    """
    Any JSON object is read or refused with one of our errors, and what is read can be stored.
    """
    for parse in PARSERS:
        try:
            parse(data).model_dump_json()
        except BotError as exc:
            assert isinstance(exc, BrokenAnswer)


@given(OBJECTS | LEAF | st.lists(OBJECTS, max_size=3))
def test_no_body_breaks_a_reader(data):
    """
    The same for whole answers.
    """
    for parse in READERS:
        try:
            parse(answered(json.dumps(data).encode()))
        except BotError as exc:
            assert isinstance(exc, BrokenAnswer)


@pytest.mark.parametrize(
    ("row", "synced"), [({"onPremisesSyncEnabled": None}, False), ({"onPremisesSyncEnabled": True}, True)]
)
async def test_an_organisation_that_was_never_synced_says_null(row: dict, synced: bool):
    """
    As Microsoft documents it.
    """
    tenant, _ = client({"value": [row]})

    assert await tenant.is_synced() is synced


@pytest.mark.parametrize("row", [{}, {"onPremisesSyncEnabled": "Unexpected"}, {"onPremisesSyncEnabled": 0}])
async def test_an_organisation_that_does_not_say_whether_it_is_synced_is_no_answer(row: dict):
    """
    What is not said is never taken for "not synced", which would be good news.
    """
    tenant, _ = client({"value": [row]})

    with pytest.raises(BrokenAnswer):
        await tenant.is_synced()
