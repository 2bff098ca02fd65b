"""What adapters say of containers that they are not made for."""

from __future__ import annotations

import re

import dishka
import pytest
import svcs

from diator.container.foreign import refuse_foreign
from diator.exceptions import ConfigurationError


class TestRefuseForeign:
    def test_another(self):
        """It is told what was given, what is expected, and what to do."""
        provider = dishka.Provider()
        expected = f"{provider!r} is not a dishka.AsyncContainer: make one"

        with pytest.raises(ConfigurationError, match=f"^{re.escape(expected)}$"):
            refuse_foreign(provider, dishka.AsyncContainer, "make one")

    def test_its_own(self):
        refuse_foreign(svcs.Registry(), svcs.Registry, "make one")
