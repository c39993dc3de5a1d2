"""Typed configs of the servers and of a run. Loads without torch."""
