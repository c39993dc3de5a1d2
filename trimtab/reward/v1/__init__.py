"""The reward contract, version 1: generated code."""
