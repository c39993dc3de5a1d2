"""The reward service: verification of answers in processes that can be killed."""
