"""
A small Microsoft 365 tenant on loopback: Entra's login, Graph, the Exchange admin route and Bot Framework keys.

It speaks real HTTPS with real signed tokens and keeps state, so that the bot and its tests meet the services as they
are known to behave, oddities included. It imports nothing else of the project, because it must not become a mirror of
our own clients. Start it with `services.sandbox.server.start_tenant`.
"""
