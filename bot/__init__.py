"""Teams in, Teams out: activities become commands, results become cards."""
