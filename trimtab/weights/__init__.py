"""Weights on the wire: digests, manifests, chunks. Works on bytes; needs no torch."""
