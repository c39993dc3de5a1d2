"""The rollout contract, version 1: generated code."""
