from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from examples.frameworks.typer_app import app

ROOT = Path(__file__).parents[3]


def shop(*arguments):
    return CliRunner().invoke(app, arguments)


class TestTyper:
    def test_command_and_query(self):
        """An order that was placed can be read, by a later run."""
        assert shop("place", "tea", "--amount", "2").stdout == "1\n"
        assert shop("show", "1").stdout == "2 × tea\n"

    def test_invalid(self):
        """What breaks the rules of a request is told, with the fields."""
        result = shop("place", "", "--amount", "0")

        assert result.exit_code == 1
        assert result.stderr.splitlines() == [
            "product: Expected `str` of length >= 1",
            "amount: Expected `int` >= 1",
        ]

    def test_not_found(self):
        """So is what the domain does not have."""
        result = shop("show", "7")

        assert (result.exit_code, result.stderr) == (1, "there is no order 7\n")

    def test_forbidden(self):
        """And what a policy refuses."""
        result = shop("place", "tea", "--amount", "101")

        assert result.exit_code == 1
        assert "at most 100 of a product" in result.stderr

    def test_program(self):
        """It runs as it says."""
        run = subprocess.run(
            [sys.executable, "-m", "examples.frameworks.typer_app", "place", "tea"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

        assert (run.stdout, run.returncode) == ("1\n", 0)
