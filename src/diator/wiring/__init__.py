"""What would fail later in the wiring of a mediator."""
