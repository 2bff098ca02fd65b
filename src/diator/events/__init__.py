"""Events, and the second pipeline."""
