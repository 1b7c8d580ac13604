"""
Who is on call, and where that comes from.

`settings` is the section `[oncall]`; `rota`, `group`, `shifts`, `pagerduty` and `opsgenie` are the sources, one module
each, behind the port `duty.Source`; `on_call` asks them in turn and never ends with nobody silently; `build` makes it
all from the settings. Nothing is imported here, because the settings must not load the clients.
"""
