"""
One file for each kind of action, called as the kind.

`prepare(work)` reads, and says how to make the change and how to prove it. A file of a kind that can be undone also has
`undo(work)`, which reads nothing yet. Neither changes anything by itself. The unblocks are in `services.unblocking`.
"""
