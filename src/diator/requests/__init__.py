"""Requests, and the first pipeline."""
