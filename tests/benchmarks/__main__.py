"""
`make bench`: how good the verdicts are, and how fast the bot is next to others in the same run, all on loopback.

Repetitions of those who are compared are interleaved and ratios are taken within a repetition, so that whatever else
the machine does hits all of them. Nothing is asserted: times depend on the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import warnings
from pathlib import Path

from tests.benchmarks import alerts, card_rendering, main_job, verdicts
from tests.benchmarks.figures import Figure, as_data, as_lines
from tests.benchmarks.front_door import open_front_door


async def measure() -> list[Figure]:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder)
        cards = card_rendering.measure()
        async with open_front_door(keys) as door:
            await door.warm_up()
            job = await main_job.measure(keys, meanwhile=door.round)
        noticed = await alerts.measure(keys)
        return [*await verdicts.measure(), *door.figures(), *cards, *job, *noticed]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=measure.__doc__)
    parser.add_argument("--json", action="store_true", help="for machines")
    wanted = parser.parse_args()
    figures = asyncio.run(measure())
    print(json.dumps(as_data(figures), indent=2) if wanted.json else "\n".join(as_lines(figures)))


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # The archived bot SDK has some, and they are not ours to mend.
    main()
