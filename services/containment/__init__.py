"""
Throwing the attacker out: which changes to propose, each carried out until it is proven by reading again, and undone.

`catalogue.toml` says what is true of each kind of action, `actions/` holds one file for each kind, `plan.py` proposes,
`run.py` carries out and undoes, `dry_run.py` shows the calls without making any.
Source: "Responding to a compromised email account", 2024-06-10; for what it does not name, see the catalogue.
"""

from services.containment.catalogue import CATALOGUE, Entry, new_action
from services.containment.dry_run import DryRun, PlannedCall
from services.containment.plan import connector_plan, propose
from services.containment.ports import AccountChanges, MailboxChanges
from services.containment.run import WAITS_S, Containment, undo_plan

__all__ = [
    "CATALOGUE",
    "WAITS_S",
    "AccountChanges",
    "Containment",
    "DryRun",
    "Entry",
    "MailboxChanges",
    "PlannedCall",
    "connector_plan",
    "new_action",
    "propose",
    "undo_plan",
]
