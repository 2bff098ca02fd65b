"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is slow at times, which says nothing about the code.
settings.register_profile("diator", parent=settings(), deadline=None)
settings.load_profile("diator")
