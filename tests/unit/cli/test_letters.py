"""What people see of dead letters."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from diator.cli.letters import show_list
from tests.unit.cli.fake_letters import FakeLetters


@pytest.fixture
def terminal():
    return Console(file=StringIO(), force_terminal=True, width=120, color_system=None)


class TestShowList:
    async def test_table(self, terminal):
        """On a terminal the letters stand in a table."""
        await show_list(FakeLetters(), terminal, limit=10)

        output = terminal.file.getvalue()
        assert "message" in output
        assert output.count("user.joined.v1") == 2

    @pytest.mark.parametrize("number, told", [(2, False), (3, True)])
    async def test_more(self, terminal, number, told):
        """It is said where to go on, if there are more."""
        await show_list(FakeLetters(number), terminal, limit=2)

        assert ("There are more, after 1.\n" in terminal.file.getvalue()) is told

    async def test_none(self, terminal):
        """On a terminal it is said that there are none."""
        await show_list(FakeLetters(0), terminal, limit=10)

        assert terminal.file.getvalue() == "There are no dead letters.\n"
