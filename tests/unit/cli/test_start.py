"""Where the command starts."""

from __future__ import annotations

import sys

import pytest

from diator.cli.start import start


@pytest.fixture
def without(monkeypatch):
    """Have a package be missing."""

    def take_away(name):
        monkeypatch.delitem(sys.modules, "diator.cli.main", raising=False)
        monkeypatch.setitem(sys.modules, name, None)

    return take_away


class TestStart:
    def test_command(self, monkeypatch, capsys):
        """It runs the command."""
        monkeypatch.setattr(sys, "argv", ["diator", "--help"])

        with pytest.raises(SystemExit) as ended:
            start()

        assert ended.value.code == 0
        assert "dead-letters" in capsys.readouterr().out

    def test_without_the_extra(self, without):
        """Without what it needs, it says how that is installed."""
        without("typer")

        with pytest.raises(SystemExit) as ended:
            start()

        assert ended.value.code == (
            "diator: typer is missing: pip install 'diator[cli]'"
        )

    def test_something_else(self, without):
        """What else is missing is for its author to see."""
        without("diator.cli.letters")

        with pytest.raises(ModuleNotFoundError, match="letters"):
            start()
