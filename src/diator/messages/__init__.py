"""What events and commands are called on their way between processes."""
