"""What a mediator is made of, as plain data."""
