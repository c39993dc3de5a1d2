"""The steps of the `math` verifier, one idea a file."""
