"""
The signals. Each module has one function `look(evidence, row)` that reads, judges and returns a Finding.

A signal raises ServiceErrors freely: whoever runs it turns them into "could not be read". It never says "clear" about
something that it has not read.
"""
