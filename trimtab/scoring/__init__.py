"""Judges rows of files with a reward server, in bounded memory."""
