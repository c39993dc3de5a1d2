"""What all three servers stand on: listening, health, errors, drain, logs."""
