"""Runs model-written programs against tests; what comes out of a program is only a claim."""
