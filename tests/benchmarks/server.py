"""
A server of its own process: `python -m tests.benchmarks.server NAME` with its settings as JSON on the first line of
standard input. It prints its port and ends when its standard input is closed, so that it never outlives who started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

Settings = dict[str, str]


@asynccontextmanager
async def own_process(name: str, settings: Settings) -> AsyncIterator[int]:
    """The port of a server that runs for as long as the block lasts. Raises RuntimeError when it does not start."""
    # Both names of the certificate authority: the bot SDK asks by `requests` and by aiohttp, with their own defaults.
    ca_bundle = settings["ca_bundle"]
    environment = {**os.environ, "REQUESTS_CA_BUNDLE": ca_bundle, "SSL_CERT_FILE": ca_bundle}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-m", "tests.benchmarks.server", name),
        env=environment,
        cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(settings).encode() + b"\n")
        line = await process.stdout.readline()
        if not line.strip().isdigit():
            raise RuntimeError(f"the server {name!r} did not start")
        yield int(line)
    finally:
        process.stdin.close()
        await process.wait()


async def serve(handler: object) -> None:
    """Serve POST /api/messages on loopback until standard input is closed."""
    application = web.Application()
    application.router.add_post("/api/messages", handler)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


async def main(name: str) -> None:
    settings = json.loads(sys.stdin.readline())
    if name == "ours":
        from tests.benchmarks.ours import handler
    elif name == "sdk":
        from tests.benchmarks.sdk import handler
    else:
        from tests.benchmarks.bare import handler
    async with handler(settings) as handle:
        await serve(handle)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1]))
