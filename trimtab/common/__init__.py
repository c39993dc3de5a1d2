"""What the three contracts share."""
