"""What all echo bots answer a card click with, so that they have the same to write."""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "TextBlock", "text": "The case is under way.", "wrap": True}
CARD: dict[str, Any] = {"type": "AdaptiveCard", "version": "1.5", "body": [_TEXT] * 20}
#: The body of the answer to an invoke that shows the card.
CARD_ANSWER = {"statusCode": 200, "type": "application/vnd.microsoft.card.adaptive", "value": CARD}
