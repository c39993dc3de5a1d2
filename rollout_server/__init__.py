"""The rollout service: generation from a policy whose weights change."""
