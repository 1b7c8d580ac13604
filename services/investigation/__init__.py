"""Is the account compromised? One file per signal, `run` that reads them all at once, `verdict` that weighs them."""
