"""What the three contracts share, version 1: generated code."""
