"""Where messages come in from other processes."""
