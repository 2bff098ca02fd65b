"""What builds the handlers: one adapter in each file."""
