"""Generated tasks: problems made from a seed, so nothing is downloaded."""
