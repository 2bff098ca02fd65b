"""What people see of dead letters."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
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

    async def test_json(self, terminal):
        """As JSON there is nothing but the letters, on a terminal, too."""
        await show_list(FakeLetters(3), terminal, limit=2, in_json=True)

        lines = terminal.file.getvalue().splitlines()
        assert [json.loads(line)["letter_id"] for line in lines] == ["0", "1"]

    async def test_time_zone(self, terminal):
        """A date is told in UTC, wherever its clock was."""
        letters = FakeLetters(1)
        there = timezone(timedelta(hours=2))
        letter = replace(
            letters.letters["0"], died_at=datetime(2026, 3, 7, tzinfo=there)
        )
        letters.letters["0"] = letter

        await show_list(letters, terminal, limit=1)

        assert "2026-03-06T22:00:00Z" in terminal.file.getvalue()

    async def test_none(self, terminal):
        """On a terminal it is said that there are none."""
        await show_list(FakeLetters(0), terminal, limit=10)

        assert terminal.file.getvalue() == "There are no dead letters.\n"
