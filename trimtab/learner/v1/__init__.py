"""The learner contract, version 1: generated code."""
