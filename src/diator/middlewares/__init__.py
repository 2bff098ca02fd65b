"""Behaviours around the handling of a message, one in each file."""
