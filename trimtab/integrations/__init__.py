"""Our verifiers in other trainers: TRL, verl, OpenRLHF, slime. Needs only the client SDK."""
