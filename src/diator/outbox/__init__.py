"""What is to leave for other processes, kept in SQL until it has left."""
