"""
Microsoft's clouds: which hosts belong together, and what a token for each is called. Pure.

Sources: "Microsoft Graph national cloud deployments" (2024), "Exchange Online Admin API overview" (preview, undated),
"Configure a bot to run on Azure Government" and "... on Azure China" of the Bot Framework documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Cloud:
    """One cloud and its public addresses. The scope of a service is its address and `/.default`, except for bots."""

    name: str
    #: Hosts of Entra, each of which MSAL knows by itself.
    login_hosts: tuple[str, ...]
    graph_url: str
    exchange_url: str
    #: What a token for the Bot Connector is asked for.
    bot_scope: str


PUBLIC = Cloud(
    name="public",
    login_hosts=("login.microsoftonline.com", "login.microsoft.com", "login.windows.net", "sts.windows.net"),
    graph_url="https://graph.microsoft.com",
    exchange_url="https://outlook.office365.com",
    bot_scope="https://api.botframework.com/.default",
)
US_GOVERNMENT = Cloud(
    name="us_government",
    login_hosts=("login.microsoftonline.us", "login.usgovcloudapi.net"),
    graph_url="https://graph.microsoft.us",
    exchange_url="https://outlook.office365.us",
    bot_scope="https://api.botframework.us/.default",
)
US_DEFENCE = Cloud(
    name="us_defence",
    login_hosts=("login.microsoftonline.us",),
    graph_url="https://dod-graph.microsoft.us",
    exchange_url="https://outlook-dod.office365.us",
    bot_scope="https://api.botframework.us/.default",
)
CHINA = Cloud(
    name="china",
    login_hosts=("login.partner.microsoftonline.cn", "login.chinacloudapi.cn"),
    graph_url="https://microsoftgraph.chinacloudapi.cn",
    exchange_url="https://outlook.office365.cn",
    bot_scope="https://api.botframework.azure.cn/.default",
)
CLOUDS = (PUBLIC, US_GOVERNMENT, US_DEFENCE, CHINA)


def cloud_of(url: str) -> Cloud:
    """The cloud that an address belongs to; the public one for a host that is not Microsoft's, such as a proxy."""
    host = _host(url)
    return next((cloud for cloud in CLOUDS if host in _hosts(cloud)), PUBLIC)


def is_known_login(login_url: str) -> bool:
    """Whether MSAL knows this host of Entra; for any other, its look-up of instances must be switched off."""
    return any(_host(login_url) in cloud.login_hosts for cloud in CLOUDS)


def graph_scope(graph_url: str) -> str:
    """The scope of Microsoft Graph at this address; behind a proxy it is the public one, whose name the token bears."""
    return f"{cloud_of(graph_url).graph_url}/.default"


def exchange_scope(exchange_url: str) -> str:
    """The scope of Exchange Online at this address; the same rule as for Graph."""
    return f"{cloud_of(exchange_url).exchange_url}/.default"


def graph_root(graph_url: str) -> str:
    """The address of Graph without a trailing slash and without the version that some people put behind it."""
    root = graph_url.strip().rstrip("/")
    for version in ("/v1.0", "/beta"):
        root = root.removesuffix(version)
    return root.rstrip("/")


def _hosts(cloud: Cloud) -> frozenset[str]:
    return frozenset((*cloud.login_hosts, _host(cloud.graph_url), _host(cloud.exchange_url)))


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").casefold()
