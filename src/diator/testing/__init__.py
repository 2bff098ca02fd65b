"""For tests: of applications, and of what belongs to diator, such as adapters."""
