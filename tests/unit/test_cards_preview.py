"""The previews of the cards: the JSON always, the pictures where there is something to draw with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot import preview
from cards.language import languages
from cards.samples import samples


def test_every_sample_is_written_in_every_language(tmp_path: Path):
    """One JSON file per card and language, readable again."""
    written = preview.write_json(tmp_path)

    assert len(samples()) * len(languages()) == len(written)
    assert all(json.loads(path.read_text(encoding="utf-8")) == card for path, card in written.items())


async def test_without_node_the_json_is_there_and_the_message_says_what_to_install(tmp_path: Path, monkeypatch):
    """A missing tool is named in one line, after everything that needs no tool was done."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(preview.shutil, "which", lambda name: None)

    with pytest.raises(preview.PreviewError) as refusal:
        await preview.preview(tmp_path / "out")

    assert "Node.js" in str(refusal.value)
    assert (tmp_path / "out" / "sv" / "help_card.json").exists()


def test_without_chromium_the_message_says_what_to_install(monkeypatch):
    """The same for the browser."""
    monkeypatch.setattr(preview.shutil, "which", lambda name: None)

    with pytest.raises(preview.PreviewError) as refusal:
        preview._chromium()

    assert "chromium" in str(refusal.value)
