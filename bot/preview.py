"""
Pictures of every card in every language, as JSON and as PNG: for developers, to look at before people do.

The pictures come from the npm package `adaptivecards`, which is Microsoft's own renderer for the web, in headless
Chromium, with colours and sizes like those of Teams, dark and light side by side. It has no charts: in their place
stands what clients without charts show.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cards.language import languages
from cards.render import render
from cards.samples import samples
from services.errors import BotError

#: What draws the cards; installed on demand, outside the repository.
NPM_PACKAGES = ("adaptivecards@^3", "markdown-it@^14")
#: Width of one card in pixels, as in a Teams chat on a laptop.
CARD_WIDTH = 560
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class PreviewError(BotError):
    """Something that drawing needs is missing; the JSON files are written all the same."""

    key = "error.preview"

    def __init__(self, problem: str) -> None:
        super().__init__(problem=problem)
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


async def preview(out: Path) -> list[Path]:
    """
    The pictures that were written: `<out>/<language>/<card>.png`, next to the card's JSON.

    Raises PreviewError, with the JSON written, when node, Chromium or the Python package `playwright` is missing.
    """
    cards = write_json(out)
    library = await _renderer()
    return await _draw(cards, library)


def write_json(out: Path) -> Mapping[Path, dict[str, Any]]:
    """Every sample in every language as `<out>/<language>/<card>.json`; the cards by path."""
    written: dict[Path, dict[str, Any]] = {}
    for language in languages():
        folder = out / language
        folder.mkdir(parents=True, exist_ok=True)
        for name, view in samples().items():
            path = folder / f"{name}.json"
            rendered = render(view, language)
            path.write_text(json.dumps(rendered.card, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
            written[path] = rendered.card
    return written


def cache_folder() -> Path:
    """Where the npm packages are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "unblock" / "preview"


async def _renderer() -> tuple[Path, Path]:
    """The two scripts that draw: the card renderer and the Markdown reader."""
    modules = cache_folder() / "node_modules"
    scripts = (modules / "adaptivecards/dist/adaptivecards.js", modules / "markdown-it/dist/markdown-it.js")
    if not all(script.exists() for script in scripts):
        await _install()
    missing = [str(script) for script in scripts if not script.exists()]
    if missing:
        raise PreviewError(f"The npm packages do not hold {', '.join(missing)}.")
    return scripts


async def _install() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise PreviewError("npm is missing. Install Node.js 18 or later to draw pictures; the JSON files are written.")
    cache_folder().mkdir(parents=True, exist_ok=True)
    arguments = ("install", "--prefix", str(cache_folder()), "--no-audit", "--no-fund", "--ignore-scripts")
    process = await asyncio.create_subprocess_exec(
        npm, *arguments, *NPM_PACKAGES, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await process.communicate()
    if process.returncode:
        last_line = complaint.decode(errors="replace").strip().splitlines()[-1:]
        raise PreviewError(f"npm could not install {' and '.join(NPM_PACKAGES)}: {''.join(last_line)}")


async def _draw(cards: Mapping[Path, dict[str, Any]], scripts: tuple[Path, Path]) -> list[Path]:
    pictures = []
    async with _page(scripts) as page:
        for path, card in cards.items():
            problem = await page.evaluate("card => draw(card)", card)
            if problem:
                raise PreviewError(f"{path.name} cannot be drawn: {problem}")
            picture = path.with_suffix(".png")
            await page.locator("#both").screenshot(path=picture)
            pictures.append(picture)
    return pictures


@asynccontextmanager
async def _page(scripts: tuple[Path, Path]) -> AsyncIterator[Any]:
    """A browser page that is ready to draw; closed afterwards."""
    try:
        from playwright.async_api import async_playwright
    except ImportError as missing:
        raise PreviewError("The Python package playwright is missing: pip install playwright.") from missing
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_chromium(), args=list(CHROMIUM_ARGUMENTS))
        try:
            page = await browser.new_page(viewport={"width": 2 * CARD_WIDTH + 80, "height": 800})
            await page.set_content(_PAGE)
            for script in scripts:
                await page.add_script_tag(path=script)
            await page.add_script_tag(content=_DRAW)
            yield page
        finally:
            await browser.close()


def _chromium() -> str:
    found = next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise PreviewError("Chromium is missing. Install chromium to draw pictures; the JSON files are written.")
    return found


_PAGE = f"""<!doctype html><meta charset="utf-8"><style>
  body {{ margin: 0; font-family: "Segoe UI", "Liberation Sans", sans-serif; }}
  #both {{ display: flex; width: {2 * CARD_WIDTH + 80}px; align-items: stretch; }}
  .side {{ width: {CARD_WIDTH}px; padding: 20px; }}
  .light {{ background: #f5f5f5; }} .dark {{ background: #1f1f1f; }}
  .card {{ border-radius: 6px; overflow: hidden; }}
  .light .card {{ background: #ffffff; border: 1px solid #d1d1d1; }}
  .dark .card {{ background: #292929; border: 1px solid #3d3d3d; }}
  .ac-pushButton {{ font: 600 14px inherit; padding: 6px 14px; border-radius: 4px; margin: 2px 0; min-width: 96px; }}
  .light .ac-pushButton {{ background: #ffffff; color: #242424; border: 1px solid #d1d1d1; }}
  .dark .ac-pushButton {{ background: #292929; color: #ffffff; border: 1px solid #666666; }}
  .side .ac-pushButton.style-positive {{ background: #5b5fc7; color: #ffffff; border-color: #5b5fc7; }}
  .light .ac-pushButton.style-destructive {{ color: #c4314b; border-color: #c4314b; }}
  .dark .ac-pushButton.style-destructive {{ color: #f9526b; border-color: #f9526b; }}
  .ac-textInput {{ width: 100%; box-sizing: border-box; font: 14px inherit; padding: 6px; border-radius: 4px; }}
  .light .ac-textInput {{ background: #f5f5f5; border: 1px solid #d1d1d1; }}
  .dark .ac-textInput {{ background: #1f1f1f; border: 1px solid #666666; color: #ffffff; }}
  .light a {{ color: #4f52b2; }} .dark a {{ color: #a6a7dc; }}
  .ac-choiceSetInput-expanded > div {{ padding: 3px 0; }}
</style><div id="both"><div class="side light"><div class="card"></div></div>
<div class="side dark"><div class="card"></div></div></div>"""

_DRAW = """
const COLOURS = {
  light: {text: "#242424", subtle: "#616161", good: "#237b4b", warning: "#835c00", attention: "#c4314b",
          accent: "#4f52b2", areas: {emphasis: "#f0f0f0", good: "#e7f2da", warning: "#fbf6d9", attention: "#fcf4f6",
          accent: "#e8ebfa"}},
  dark: {text: "#ffffff", subtle: "#c8c8c8", good: "#92c353", warning: "#f8d22a", attention: "#f9526b",
         accent: "#a6a7dc", areas: {emphasis: "#333333", good: "#1f3a1f", warning: "#463100", attention: "#4a1f26",
         accent: "#32325a"}},
};
const pair = (colour, subtle) => ({default: colour, subtle: subtle});
function area(c, background) {
  return {backgroundColor: background, foregroundColors: {
    default: pair(c.text, c.subtle), dark: pair(c.text, c.subtle), light: pair(c.text, c.subtle),
    accent: pair(c.accent, c.accent), good: pair(c.good, c.good),
    warning: pair(c.warning, c.warning), attention: pair(c.attention, c.attention)}};
}
function hostConfig(theme) {
  const c = COLOURS[theme];
  const styles = {default: area(c, theme === "light" ? "#ffffff" : "#292929")};
  for (const [name, background] of Object.entries(c.areas)) styles[name] = area(c, background);
  return {
    fontFamily: '"Segoe UI", "Liberation Sans", sans-serif',
    fontSizes: {small: 12, default: 14, medium: 16, large: 18, extraLarge: 24},
    fontWeights: {lighter: 300, default: 400, bolder: 600},
    lineHeights: {small: 16, default: 20, medium: 22, large: 26, extraLarge: 32},
    spacing: {small: 8, default: 12, medium: 16, large: 20, extraLarge: 24, padding: 16},
    separator: {lineThickness: 1, lineColor: theme === "light" ? "#e0e0e0" : "#454545"},
    containerStyles: styles,
    actions: {maxActions: 6, buttonSpacing: 8, actionAlignment: "left", actionsOrientation: "horizontal"},
    inputs: {label: {inputSpacing: "small", requiredInputs: {weight: "bolder", suffix: " *"},
                     optionalInputs: {weight: "bolder"}}},
    textStyles: {heading: {}},
  };
}
AdaptiveCards.AdaptiveCard.onProcessMarkdown = (text, result) => {
  result.outputHtml = window.markdownit().render(text);
  result.didProcess = true;
};
function draw(json) {
  let problem = "";
  for (const theme of ["light", "dark"]) {
    const card = new AdaptiveCards.AdaptiveCard();
    card.hostConfig = new AdaptiveCards.HostConfig(hostConfig(theme));
    const context = new AdaptiveCards.SerializationContext();
    card.parse(json, context);
    for (let i = 0; i < context.eventCount; i++) {
      const message = context.getEventAt(i).message;
      // The renderer keeps state between its checks of "lang", and so refuses every second card.
      // It does not know the charts of Teams either, and draws what stands there for clients like it.
      if (!message.includes('property "lang"') && !message.includes('type "Chart.')) problem = message;
    }
    const place = document.querySelector("." + theme + " .card");
    place.replaceChildren(card.render());
  }
  return problem;
}
"""
