"""The command `diator`: runs relays and consumers, and looks after dead letters."""
