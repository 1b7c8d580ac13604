"""Only the Bot Connector gets in, and only with a token that says so in every respect."""

import asyncio
import json
from base64 import urlsafe_b64encode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from bot.identity import BotTokenValidator, Claims, KeysUnavailable, Unauthenticated, parse_keys
from services.errors import SettingsError
from tests.fakes.bot_service import APP_ID, ISSUER, KEY, OTHER_KEY, SERVICE_URL, FakeBotService, FakeClock, jwk


@pytest.fixture
async def service():
    service = FakeBotService(FakeClock())
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
def validator(service):
    return BotTokenValidator(service.openid_url, APP_ID, service.session, service.clock)


async def check(validator: BotTokenValidator, header: str | None, *, service_url: str = SERVICE_URL) -> Claims:
    return await validator.validate(header, channel_id="msteams", service_url=service_url)


async def test_a_good_token_is_accepted(service, validator):
    """
    A token of the Bot Connector for our app and this service URL gives its claims.
    """
    claims = await check(validator, service.header())

    assert (ISSUER, APP_ID, SERVICE_URL) == (claims.issuer, claims.app_id, claims.service_url)


async def test_a_slash_at_the_end_of_the_service_url_makes_no_difference(service, validator):
    """
    The claim and the activity may differ in the last slash and in nothing else.
    """
    await check(validator, service.header(serviceurl=SERVICE_URL.rstrip("/")))

    with pytest.raises(Unauthenticated):
        await check(validator, service.header(), service_url=SERVICE_URL + "x")


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/"},
        {"iss": None},
        {"aud": "another-app"},
        {"aud": [APP_ID]},
        {"aud": None},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": float("nan")},
        {"exp": 10**400},
        {"nbf": "yesterday"},
        {"serviceurl": None},
        {"serviceurl": "https://evil.example/"},
        {"serviceurl": [SERVICE_URL]},
    ],
    ids=str,
)
async def test_a_wrong_or_missing_claim_is_refused(service, validator, changed):
    """
    Every claim is needed, of the right type and with the right value.
    """
    with pytest.raises(Unauthenticated):
        await check(validator, service.header(**changed))


@pytest.mark.parametrize(
    ("name", "offset_s", "accepted"),
    [("exp", -299, True), ("exp", -300, False), ("nbf", 299, True), ("nbf", 301, False)],
)
async def test_clocks_may_differ_by_five_minutes(service, validator, name, offset_s, accepted):
    """
    A token is good for five minutes after its end and before its beginning.
    """
    header = service.header(**{name: service.clock.now().timestamp() + offset_s})

    if accepted:
        await check(validator, header)
    else:
        with pytest.raises(Unauthenticated):
            await check(validator, header)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer nonsense",
        "Bearer a.b.c",
        "Bearer " + "x" * 20_000,
        "Bearer é.é.é",
    ],
)
async def test_what_is_no_token_is_refused(validator, header):
    """
    Garbage is an unauthenticated caller, not an error of ours.
    """
    with pytest.raises(Unauthenticated):
        await check(validator, header)


async def test_a_token_signed_by_somebody_else_is_refused(service, validator):
    """
    Naming a known key is not enough; the signature must be that key's.
    """
    with pytest.raises(Unauthenticated):
        await check(validator, service.header(key=OTHER_KEY))


async def test_only_rs256_counts(service, validator):
    """
    Neither an unsigned token nor one with another algorithm gets in, whatever key it names.
    """
    unsigned = jwt.encode(service.claims(), None, algorithm="none", headers={"kid": "key-1"})
    hmac = jwt.encode(service.claims(), "0" * 64, algorithm="HS256", headers={"kid": "key-1"})
    stronger = jwt.encode(service.claims(), KEY, algorithm="RS512", headers={"kid": "key-1"})

    for token in (unsigned, hmac, stronger):
        with pytest.raises(Unauthenticated):
            await check(validator, f"Bearer {token}")


async def test_a_token_without_a_key_id_is_refused(service, validator):
    """
    A token must say which key signed it.
    """
    with pytest.raises(Unauthenticated):
        await check(validator, service.header(key_id=None))


@pytest.mark.parametrize("endorsements", [["webchat"], [], None, "msteams", {"msteams": True}])
async def test_the_key_must_be_endorsed_for_teams(service, validator, endorsements):
    """
    A key that may not speak for Teams does not, however good the signature.
    """
    service.keys = [jwk("key-1", endorsements=endorsements)]

    with pytest.raises(Unauthenticated):
        await check(validator, service.header())


async def test_the_issuer_is_the_one_of_the_metadata(service, validator):
    """
    A sovereign cloud names its own issuer, and then the public one is no longer accepted.
    """
    service.metadata = {"issuer": "https://api.botframework.us"}

    await check(validator, service.header(iss="https://api.botframework.us"))
    with pytest.raises(Unauthenticated):
        await check(validator, service.header())


async def test_keys_are_read_once_a_day(service, validator):
    """
    Keys are kept for 24 hours and then read again.
    """
    await check(validator, service.header())
    service.clock.pass_(hours=23)
    await check(validator, service.header())
    assert 1 == service.readings

    service.clock.pass_(hours=1)
    await check(validator, service.header())
    assert 2 == service.readings


async def test_a_new_key_is_found_at_once_but_not_more_than_once_a_minute(service, validator):
    """
    An unknown key id makes us read the keys again; a flood of invented ones does so once a minute at most.
    """
    await check(validator, service.header())
    service.clock.pass_(minutes=1)
    service.keys = [jwk("key-2", OTHER_KEY)]
    await check(validator, service.header(key=OTHER_KEY, key_id="key-2"))

    for number in range(5):
        with pytest.raises(Unauthenticated):
            await check(validator, service.header(key_id=f"invented-{number}"))

    assert 2 == service.readings


async def test_many_callers_share_one_reading(service, validator):
    """
    However many ask while there are no keys, the metadata is read once.
    """
    await asyncio.gather(*(check(validator, service.header()) for _ in range(20)))

    assert 1 == service.readings


async def test_keys_are_kept_when_a_reading_fails(service, validator):
    """
    When the keys are old and cannot be read again, the old ones still work.
    """
    await check(validator, service.header())
    service.status = 503
    service.clock.pass_(hours=25)

    await check(validator, service.header())
    assert 2 == service.readings


async def test_without_any_keys_nothing_can_be_checked(service, validator):
    """
    That is our trouble and not the caller's; it ends by itself when the metadata can be read.
    """
    service.status = 503
    with pytest.raises(KeysUnavailable):
        await check(validator, service.header())
    assert not await validator.load_keys()

    service.status = 200
    service.clock.pass_(seconds=5)
    assert await validator.load_keys()
    await check(validator, service.header())


@pytest.mark.parametrize("metadata", [{"jwks_uri": "http://127.0.0.1/keys"}, {"jwks_uri": 5}, {"issuer": 5}])
async def test_metadata_that_cannot_be_trusted_gives_no_keys(service, validator, metadata):
    """
    Keys that would come over plain http are not keys.
    """
    service.metadata = metadata

    with pytest.raises(KeysUnavailable):
        await check(validator, service.header())


@pytest.mark.parametrize(
    ("openid_url", "app_id", "setting"),
    [("https://login.example/openid", " ", "app_id"), ("http://login.example/openid", APP_ID, "bot_openid_url")],
)
async def test_checking_cannot_be_configured_away(service, openid_url, app_id, setting):
    """
    An empty app id or metadata over plain http ends the start; botbuilder would switch checking off.
    """
    with pytest.raises(SettingsError) as refusal:
        BotTokenValidator(openid_url, app_id, service.session, service.clock)

    assert [setting] == [name for name, _ in refusal.value.problems]


@pytest.mark.parametrize(
    ("openid_url", "jwks_uri", "keys_are_read"),
    [
        ("http://127.0.0.1:3980/openid", "http://127.0.0.1:3980/keys", True),
        ("http://127.0.0.1:3980/openid", "http://keys.example/", False),
        ("https://login.example/openid", "http://127.0.0.1:3980/keys", False),
    ],
)
async def test_only_metadata_of_this_machine_may_name_keys_of_this_machine(
    service, openid_url, jwks_uri, keys_are_read
):
    """
    A test tenant on loopback needs no certificate; metadata from elsewhere does not lead to plain http.
    """
    validator = BotTokenValidator(openid_url, APP_ID, service.session, service.clock)

    assert keys_are_read == validator._may_hold_keys(jwks_uri)


def test_unusable_keys_do_not_spoil_the_usable_ones():
    """
    A key set may hold keys of other kinds, short ones and nonsense.
    """
    number = urlsafe_b64encode(
        rsa.generate_private_key(65537, 1024).public_key().public_numbers().n.to_bytes(128, "big")
    )
    short = jwk("short") | {"n": number.decode()}
    nonsense = [
        {"kid": "curve", "kty": "EC"},
        {"kid": "bad", "kty": "RSA", "n": 5, "e": "AQAB"},
        {"kty": "RSA"},
        5,
        short,
    ]

    assert {"key-1"} == set(parse_keys({"keys": [*nonsense, jwk("key-1")]}))
    assert {} == parse_keys(json.loads('{"keys": "none"}'))
