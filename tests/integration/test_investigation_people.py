"""Each symptom and each way in, over HTTP: what the sandbox says of a person comes out as the finding for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.cases import Finding, SignalState, VerdictLabel
from tests.fakes.sandboxed import Bench, open_bench


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
async def bench(keys: Path) -> AsyncIterator[Bench]:
    async with open_bench(keys) as bench:
        yield bench


async def finding_of(bench: Bench, name: str, signal_id: str) -> Finding:
    case = await bench.investigated(name)
    return next(finding for finding in case.findings if finding.signal_id == signal_id)


@pytest.mark.parametrize(
    ("name", "signal_id"),
    [
        ("dora", "deleted_mail"),
        ("simon", "sent_copies"),
        ("rune", "inbox_rules"),
        ("nora", "profile_changes"),
        ("bella", "restricted_entry"),
        ("tess", "scam_text"),
        ("paul", "profile_changes"),
        ("petra", "password_age"),
        ("frank", "forwarding"),
        ("signe", "signature"),
        ("mona", "mobile_devices"),
        ("devi", "devices"),
        ("bea", "sign_ins_background"),
        ("bea", "shared_address"),
        ("lars", "legacy_protocols"),
    ],
)
async def test_each_symptom_is_found(bench: Bench, name: str, signal_id: str):
    """
    The ten of Microsoft's list (dora to signe, in its order), and evidence beyond it.
    """
    assert (await finding_of(bench, name, signal_id)).state is SignalState.FOUND


@pytest.mark.parametrize(
    ("name", "signal_id", "names"),
    [
        ("della", "delegates", {"full_access", "send_as", "send_on_behalf", "folder"}),
        ("phil", "auth_methods", {"phone"}),
    ],
)
async def test_each_way_in_is_a_target_of_its_kind(bench: Bench, name: str, signal_id: str, names: set[str]):
    """
    Everything that the attacker left behind can be proposed for removal.
    """
    finding = await finding_of(bench, name, signal_id)

    assert finding.state is SignalState.FOUND
    assert {target["kind"] for target in finding.targets} == names


async def test_an_assigned_app_and_a_fresh_role_are_targets(bench: Bench):
    """
    April's app, with what is needed to take it away; Ada's role, which is known to be new.
    """
    app = await finding_of(bench, "april", "app_assignments")
    role = await finding_of(bench, "ada", "admin_roles")

    assert (app.state, len(app.targets)) == (SignalState.FOUND, 1)
    assert [(target["role_name"], target["recent"]) for target in role.targets] == [("Exchange Administrator", True)]


async def test_what_is_on_can_be_switched_off_for_whoever_is_compromised(bench: Bench):
    """
    The target of the protocols says exactly how each is now.
    """
    finding = await finding_of(bench, "lars", "legacy_protocols")

    assert {"pop", "imap", "smtp_auth_disabled"} <= set(finding.targets[0])


@pytest.mark.parametrize("name", ["viggo", "eva", "bella", "rolf", "omar", "ines"])
async def test_honest_people_are_not_suspected(bench: Bench, name: str):
    """
    A traveller, an assistant with delegates and rules, people who write to many: the block is all that there is.
    """
    case = await bench.investigated(name)

    assert case.verdict is not None
    assert case.verdict.label is VerdictLabel.NO_EVIDENCE
