"""Message brokers: where events leave for other processes, one broker per file."""
