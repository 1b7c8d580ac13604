"""How the benchmark reckons the least time that a set of calls needs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.sandbox.journal import Entry
from tests.benchmarks.main_job import chain_s, paced_chain_s

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
SEARCH = "/v1.0/security/auditLog/queries"


def called(path: str, cmdlet: str = "") -> Entry:
    return Entry(at=NOW, service="exchange" if cmdlet else "graph", method="GET", path=path, status=200, cmdlet=cmdlet)


def test_calls_that_need_no_other_take_as_long_as_one():
    """
    However many reads there are, in a batch or alone, they can all be under way at once.
    """
    assert chain_s([called(f"/v1.0/users/{n}") for n in range(20)], 0.4) == 0.4


def test_a_further_page_needs_the_page_before():
    """
    Two lists of three and two pages take as long as three answers.
    """
    lists = ["/v1.0/a?$top=5", "/v1.0/b?$filter=x eq 'y'&$top=5"]
    further = [f"{lists[0]}&$skiptoken=1", f"{lists[0]}&$skiptoken=2", f"{lists[1]}&$skiptoken=1"]

    assert chain_s([called(path) for path in (*lists, *further)], 0.5) == 1.5


@pytest.mark.parametrize(
    ("call", "answers"),
    [
        (called("/v1.0/servicePrincipals/1"), 2),
        (called("/v1.0/auditLogs/signIns?$filter=ipAddress eq '203.0.113.1'"), 2),
        (called("/adminapi", cmdlet="Get-MailboxFolderStatistics"), 3),
    ],
)
def test_what_another_answer_names_comes_after_it(call: Entry, answers: int):
    """
    An app, an attacker's address and a folder's own name are known from an answer before.
    """
    assert chain_s([called("/v1.0/users/1"), call], 1.0) == answers


def test_the_pauses_of_a_search_count():
    """
    A search is started, looked at after half a second and after one more, and read: four answers and the pauses.
    """
    one = [called(SEARCH), called(f"{SEARCH}/1"), called(f"{SEARCH}/1"), called(f"{SEARCH}/1/records?$top=999")]
    other = [called(SEARCH), called(f"{SEARCH}/2"), called(f"{SEARCH}/2/records")]

    assert chain_s([*one, *other], 0.4) == pytest.approx(4 * 0.4 + 0.5 + 1.0)


@pytest.mark.parametrize(
    ("path", "seconds"), [("/v1.0/identityProtection/riskyUsers", 5.4), ("/v1.0/auditLogs/x", 10.4)]
)
def test_microsofts_pace_counts_where_it_is_slower(path: str, seconds: float):
    """
    Six calls to Identity Protection are a second apart, and the sixth report of a case has to wait for ten seconds.
    """
    assert paced_chain_s([called(path) for _ in range(6)], 0.4) == pytest.approx(seconds)
