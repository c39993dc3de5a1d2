"""Reads and compares answers with sympy; only worker processes import what is here."""
