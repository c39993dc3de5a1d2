"""The reward contract."""
