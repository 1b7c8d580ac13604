"""
What each card shows, with everything decided: frozen values that hold no words of any language, only `Text`s.

Templates arrange these and decide nothing. Each view names its folder in `cards/templates/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from services.cases import Text


class Tone(StrEnum):
    """How a part of a card is coloured; the values are Adaptive Card container styles. Never the only sign."""

    NEUTRAL = "emphasis"
    ACCENT = "accent"
    GOOD = "good"
    WARNING = "warning"
    ATTENTION = "attention"


@dataclass(frozen=True)
class Mark:
    """How one line stands: a symbol, and the word that says the same."""

    symbol: str
    word: Text
    #: TextBlock colour of the symbol.
    colour: str = "default"


@dataclass(frozen=True)
class Line:
    """One thing of a step: a check, an action, a prevention item."""

    mark: Mark
    label: Text
    #: What there is to say about it, on the same line.
    said: Text | None = None
    #: Small lines below it; the first to go when a card gets too large.
    details: tuple[Text, ...] = ()
    #: Lines below it that must be seen, such as what an action also does.
    warnings: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Field:
    """A line of text that a person may or must type."""

    input_id: str
    label: Text
    placeholder: Text | None = None
    required: bool = False
    #: What is said when a required field was left empty.
    error: Text | None = None
    max_length: int = 400
    multiline: bool = True
    #: A day to be picked from a calendar; it is sent as ISO 8601 (2026-12-24).
    is_date: bool = False
    #: What stands in it from the beginning.
    value: str = ""


@dataclass(frozen=True)
class Choice:
    """One entry of a list: what is sent when it is chosen, and what is shown."""

    value: str
    title: Text


@dataclass(frozen=True)
class Choices:
    """A list to choose one of, or with `several` any number of."""

    input_id: str
    label: Text
    choices: tuple[Choice, ...]
    error: Text
    several: bool = False
    #: What is chosen from the beginning.
    selected: tuple[str, ...] = ()
    #: Whether something has to be chosen.
    required: bool = True
    #: Folded into one line until somebody opens it.
    compact: bool = False

    @property
    def value(self) -> str:
        """What is chosen from the beginning, as a card says it."""
        return ",".join(self.selected)


@dataclass(frozen=True)
class Button:
    """
    Something that can be pressed. `data` holds opaque ids only, and the verb once more, because a client that knows no
    Action.Execute sends `data` alone.
    """

    verb: str
    title: Text
    data: Mapping[str, str] = field(default_factory=dict)
    #: "default", "positive" or "destructive".
    style: str = "default"
    #: Whether what was typed goes along, and so has to be valid.
    sends_inputs: bool = False
    #: An address that it opens in the browser; then nothing is sent.
    opens: str = ""

    @property
    def payload(self) -> dict[str, str]:
        return {"verb": self.verb, **self.data}


@dataclass(frozen=True)
class Form:
    """Inputs and the buttons below them."""

    fields: tuple[Field, ...] = ()
    choices: Choices | None = None
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True)
class VerdictPart:
    """The verdict as a card shows it: the word, how much could be read, and why."""

    label: Text
    tone: Tone
    #: "Checked 7 of 8".
    completeness: Text
    #: Said in words when so little could be read that the verdict may be wrong.
    caution: Text | None = None
    #: What is still being read, so that the verdict may change.
    pending: Text | None = None
    reasons: tuple[Text, ...] = ()
    #: The sum behind the label.
    score: Text | None = None


@dataclass(frozen=True)
class Group:
    """Lines that belong together, perhaps under a small title."""

    lines: tuple[Line, ...]
    title: Text | None = None


@dataclass(frozen=True)
class Step:
    """One of the three steps of the checklist."""

    title: Text
    mark: Mark
    #: What it waits for, or why it ended as it did; and what is seen of it since.
    notes: tuple[Text, ...] = ()
    verdict: VerdictPart | None = None
    groups: tuple[Group, ...] = ()
    form: Form | None = None


@dataclass(frozen=True)
class Mention:
    """Somebody whom Teams is to tell that a card is for them."""

    #: Entra object id.
    user_oid: str
    name: str


@dataclass(frozen=True, kw_only=True)
class View:
    """What every card has: a headline with a tone, perhaps a refusal above and buttons below."""

    template: ClassVar[str]
    #: Whether a refusal stands below the headline; else it stands above the buttons.
    refused_on_top: ClassVar[bool] = False

    headline: Text
    tone: Tone = Tone.NEUTRAL
    #: Why the person who pressed may not.
    refused: Text | None = None
    form: Form | None = None
    #: The action that Teams offers as "Refresh card".
    refresh: Button | None = None
    #: Teams' ids (`29:...`) of those for whom it does that by itself, so that each sees their own card: 60 at most.
    refresh_for: tuple[str, ...] = ()
    #: Whom the card calls. A template that has them shows each of them once; see `calls` in `_base/parts.json.j2`.
    mentions: tuple[Mention, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ChecklistView(View):
    """A case as one live list: where it is, what is needed from whom, and the three steps."""

    template: ClassVar[str] = "checklist"

    #: What is needed now, and from whom; the most important line first.
    needed: tuple[Text, ...]
    #: Account, block, requester: small lines under the headline.
    facts: tuple[Text, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class ApprovalView(View):
    """The question to the on-call, or its answer."""

    template: ClassVar[str] = "approval_prompt"

    #: Who asks for what, in one sentence.
    question: Text
    #: When and why it was answered; empty while it is open.
    answer: tuple[Text, ...] = ()
    #: How many have agreed so far, and what the reader has answered.
    count: tuple[Text, ...] = ()
    #: Who is asked, why so many, and what another choice of boxes would do.
    asking: tuple[Text, ...] = ()
    #: Said in words next to the question because it changes the answer.
    cautions: tuple[Text, ...] = ()
    facts: tuple[Text, ...] = ()
    verdict: VerdictPart | None = None
    actions_title: Text
    actions: tuple[Line, ...] = ()
    unreadable: tuple[Text, ...] = ()
    deadline: Text | None = None
    #: What is shown as notification.
    notification: Text


@dataclass(frozen=True, kw_only=True)
class ChoiceView(View):
    """Several accounts fit what was typed."""

    template: ClassVar[str] = "choose_account"

    question: Text
    #: What to do when the right one is not in the list.
    hint: Text


@dataclass(frozen=True, kw_only=True)
class NoticeView(View):
    """A short message."""

    template: ClassVar[str] = "notice"

    body: tuple[Text, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CaseListView(View):
    """Cases, one line each, with two small lines at most below."""

    template: ClassVar[str] = "case_list"

    lines: tuple[Line, ...]
    hint: Text


@dataclass(frozen=True)
class CausePart:
    """One thing that keeps mail from leaving."""

    #: Who can lift it, and when.
    lift: Text
    next_step: Text
    #: What it is; None for the first, which the headline names.
    label: Text | None = None
    since: Text | None = None
    #: Small lines that show it.
    evidence: tuple[Text, ...] = ()

    @property
    def small_print(self) -> tuple[Text, ...]:
        return (*((self.since,) if self.since else ()), *self.evidence)


@dataclass(frozen=True, kw_only=True)
class DiagnosisView(View):
    """Why mail does not leave; the headline is the first cause."""

    template: ClassVar[str] = "diagnosis"

    #: Whose mail it is.
    about: Text
    causes: tuple[CausePart, ...]
    #: What the answer does not rest on, because it could not be read.
    unread: tuple[Text, ...] = ()
    unread_title: Text


@dataclass(frozen=True)
class ListedItem:
    """A line of the prevention list, with what is shown of it only when somebody wants to know."""

    item_id: str
    line: Line
    #: Why it matters, and how it is checked.
    why: tuple[Text, ...] = ()
    #: Address of Microsoft's page, from our own catalogue.
    link: str = ""

    @property
    def more_id(self) -> str:
        """Id of the element that is hidden until somebody asks for it."""
        return f"more-{self.item_id}"


@dataclass(frozen=True)
class ListedPart:
    """Lines of the prevention list under one title."""

    title: Text
    items: tuple[ListedItem, ...]


@dataclass(frozen=True, kw_only=True)
class PreventionView(View):
    """What keeps it from happening again, for one account or for the organisation."""

    template: ClassVar[str] = "prevention"

    #: What is most important: what is overdue, and what nobody has taken on.
    needed: tuple[Text, ...]
    facts: tuple[Text, ...]
    parts: tuple[ListedPart, ...]
    #: Changes that the bot can make, each with approval.
    fixes: tuple[Button, ...] = ()
    #: Whether the explanations are shown from the beginning.
    unfolded: bool = False

    @property
    def more_ids(self) -> tuple[str, ...]:
        """Every element that is hidden at first."""
        return tuple(item.more_id for part in self.parts for item in part.items if item.why)


@dataclass(frozen=True, kw_only=True)
class AccessPassView(View):
    """A Temporary Access Pass, for one reader, once."""

    template: ClassVar[str] = "access_pass"

    #: The pass itself. It is in no other view and in no text.
    value: str
    lines: tuple[Text, ...]


@dataclass(frozen=True)
class Call:
    """One call of a dry run: what it is for, and exactly what would be sent, or why nothing would be."""

    title: Text
    #: Method and address, then the body: shown letter by letter, never as Markdown.
    exact: tuple[str, ...] = ()
    note: Text | None = None


@dataclass(frozen=True, kw_only=True)
class DryRunView(View):
    """The exact calls of a plan, none of which was made."""

    template: ClassVar[str] = "dry_run"

    intro: Text
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Series:
    """One line of a line chart, or one colour of the bars: what it is, and its points from left to right."""

    #: None when it is a country's.
    legend: Text | None
    #: A colour name of Teams charts.
    colour: str
    points: tuple[tuple[int | str, int], ...]
    #: ISO 3166 code, named in the reader's language; "" when nobody knows the country.
    country: str = ""


@dataclass(frozen=True, kw_only=True)
class LineChart:
    """A line over whole numbers, and the same as rows of block characters for clients without charts."""

    x_title: Text
    y_title: Text
    series: tuple[Series, ...]
    #: Where the upright axis ends.
    highest: int
    rows: tuple[str, ...]
    #: From when to when it is; stands below the rows, which have no axis.
    span: Text


@dataclass(frozen=True, kw_only=True)
class BarChart:
    """A bar for each day, stacked of the series, and each series as a row of block characters."""

    x_title: Text
    y_title: Text
    series: tuple[Series, ...]
    rows: tuple[str, ...]


@dataclass(frozen=True)
class Segment:
    """A part of a gauge."""

    legend: Text
    size: float
    colour: str


@dataclass(frozen=True, kw_only=True)
class GaugeChart:
    """A number between zero and the highest there is, and the same as a row of block characters."""

    value: float
    highest: float
    segments: tuple[Segment, ...]
    row: str


@dataclass(frozen=True)
class Place:
    """A country, by its ISO 3166 code, and what came from there."""

    country: str
    said: Text


@dataclass(frozen=True, kw_only=True)
class PicturePart:
    """One picture: what matters in words first, then the chart. Without a chart there is nothing to draw."""

    title: Text
    #: Why it could not be drawn.
    unread: Text | None = None
    places: tuple[Place, ...] = ()
    lines: tuple[Text, ...] = ()
    line_chart: LineChart | None = None
    bar_chart: BarChart | None = None
    gauge: GaugeChart | None = None


@dataclass(frozen=True, kw_only=True)
class PicturesView(View):
    """Mail, sign-ins and Secure Score of a case, drawn."""

    template: ClassVar[str] = "pictures"

    about: Text
    parts: tuple[PicturePart, ...]


@dataclass(frozen=True, kw_only=True)
class AlertView(View):
    """One thing that people should know before anybody asks."""

    template: ClassVar[str] = "alert"
    refused_on_top: ClassVar[bool] = True

    #: What it means and what became of it; the most important line first.
    needed: tuple[Text, ...]
    #: Who is called, in front of the names; None when nobody is.
    calls: Text | None = None
    #: Who, since when and why: small lines.
    facts: tuple[Text, ...] = ()
    impression_title: Text | None = None
    #: What the quickest checks show; a line that they are being read before that.
    impression: tuple[Line, ...] = ()


@dataclass(frozen=True)
class TableRow:
    """One row: whom it is about, what there is to say, and what can be done about it or was done."""

    #: The first line stands out.
    who: tuple[Text, ...]
    said: tuple[Text, ...]
    mark: Mark
    button: Button | None = None


@dataclass(frozen=True, kw_only=True)
class AlertTableView(View):
    """Many alerts, or the restricted list: one page of a table."""

    template: ClassVar[str] = "alert_table"
    refused_on_top: ClassVar[bool] = True

    needed: tuple[Text, ...]
    calls: Text | None = None
    #: Titles of the three columns.
    columns: tuple[Text, Text, Text]
    rows: tuple[TableRow, ...] = ()
    #: Which rows these are, and of how many.
    place: Text | None = None


@dataclass(frozen=True, kw_only=True)
class WeeklyView(View):
    """What a week has brought: numbers in words, and the blocks of each day drawn."""

    template: ClassVar[str] = "weekly"

    about: Text
    parts: tuple[PicturePart, ...]


@dataclass(frozen=True)
class HelpEntry:
    """One command, as it can be typed, and what it does."""

    command: Text
    meaning: Text


@dataclass(frozen=True, kw_only=True)
class HelpView(View):
    """What can be typed, and what it does."""

    template: ClassVar[str] = "help_card"

    intro: Text
    entries: tuple[HelpEntry, ...]
    note: Text | None = None
