"""Values of context variables for a while."""

from __future__ import annotations

from contextvars import ContextVar

import pytest

from diator.messages.setting import Setting

variable = ContextVar("variable", default="outside")


class TestSetting:
    def test_inside(self):
        """The value is there inside, also of another one, and not afterwards."""
        with Setting(variable, "a"):
            with Setting(variable, "b"):
                assert variable.get() == "b"
            assert variable.get() == "a"
        assert variable.get() == "outside"

    def test_failure(self):
        """What fails inside is let through, and the value does not stay."""
        with pytest.raises(KeyError), Setting(variable, "a"):
            raise KeyError

        assert variable.get() == "outside"
