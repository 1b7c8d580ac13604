"""A long report goes out in several messages, each of which is Markdown by itself."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cards.language import card_text
from cards.markdown import cell, fenced, parts, size_bytes, table
from cards.report import as_markdown
from cards.samples import hostile_case

CELLS = st.text(st.characters(exclude_characters="\n\r|", exclude_categories=["Cs"]), min_size=1, max_size=60).map(
    lambda text: cell(card_text(text)) or "-"
)
LINES = CELLS.map(lambda text: f"- {text}")
TABLES = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20).map(lambda rows: table(["Check", "Found"], rows))
SECTIONS = st.tuples(st.sampled_from(["## Checks", "### Rules", "## Plan"]), st.lists(LINES, max_size=15), TABLES)


def test_a_short_text_is_one_message():
    """Nothing is cut that fits."""
    assert ["# Report\n\nAll of it"] == parts("# Report\n\nAll of it\n")


def test_sections_stay_whole_where_they_can():
    """The second one would fit only in part, so it has a message of its own."""
    first, second = "## One\n" + "- a\n" * 10, "## Two\n" + "- b\n" * 10

    assert [first.strip(), second.strip()] == parts(first + second, limit_bytes=100)


def test_a_table_goes_on_with_its_head():
    """So do the headings that it stands under."""
    text = "\n".join(["## Story", *table(["No.", "What"], [[str(n), "x" * 20] for n in range(9)])])

    for message in parts(text, limit_bytes=180):
        assert message.startswith("## Story\n")
        assert "| No. | What |\n| --- | --- |\n| " in message


def test_a_line_that_is_too_long_goes_on_after_an_ellipsis():
    """It is cut between words, and nothing of it is lost."""
    words = " ".join(f"word{n}" for n in range(100))
    messages = parts(words, limit_bytes=120)

    assert words == " ".join(message.removeprefix("… ") for message in messages)
    assert all(message.startswith("… ") for message in messages[1:])


def test_a_row_that_is_too_long_keeps_its_cells():
    """Its longest cell is cut, since half a row is no row."""
    (message,) = parts("\n".join(table(["A", "B"], [["short", "y" * 500]])), limit_bytes=200)

    assert "| short | yyy" in message and message.endswith("… |")


@given(st.lists(SECTIONS, min_size=1, max_size=6), st.integers(600, 3000))
def test_every_message_is_small_enough_and_nothing_is_lost(sections, limit_bytes):
    """Each has its tables with their heads, and together they hold every line."""
    lines = [line for heading, bullets, rows in sections for line in (heading, "", *bullets, *rows)]
    messages = parts("\n".join(lines), limit_bytes)
    told = [line for message in messages for line in message.split("\n")]

    assert max(map(size_bytes, messages)) <= limit_bytes
    assert [line for line in lines if line.startswith(("- ", "| ")) and line not in told] == []
    for message in messages:
        assert not re.search(r"(?<!\|)\n\| (?!Check \| Found \|\n\| --- \|)", f"\n{message}")


@pytest.mark.parametrize("language", ["en", "sv"])
def test_a_hostile_report_is_sent_in_messages_of_the_right_size(language):
    """The largest report that names can make."""
    messages = parts(as_markdown(hostile_case(), [], language))

    assert 1 < len(messages) < 40
    assert max(map(size_bytes, messages)) <= 18_000


def test_an_address_can_be_copied():
    """A number in the middle of a line is no list, so nothing invisible stands before it."""
    assert "from 102.89.33.10" == cell("from \u2060102.89.33.10")
    assert "\u20601. first" == cell("\u20601. first")


def test_code_in_several_messages_is_what_it_was():
    """Every message has its own fences, and the lines between them are the text again."""
    text = "\n".join(f'  "line {n}": "åäö"' for n in range(200))
    blocks = fenced(text, limit_bytes=700)

    assert max(map(size_bytes, blocks)) <= 700
    assert all(block.startswith("```\n") and block.endswith("\n```") for block in blocks)
    assert text == "\n".join(block[4:-4] for block in blocks)


def test_a_line_of_code_that_is_too_long_is_cut_anywhere():
    """Nothing is put in between, since it is there to be copied."""
    blocks = fenced("x" * 500, limit_bytes=120)

    assert "x" * 500 == "".join(block[4:-4] for block in blocks)
