"""What others may rely on, and whether it is kept."""
