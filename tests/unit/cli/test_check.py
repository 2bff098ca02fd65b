"""What `diator check` finds, and what it does not complain of."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from diator.cli.main import app
from tests.unit.cli.planted import COMMON, PLANTED, SOUND

ROOT = Path(__file__).parents[3]


def examples() -> list[str]:
    """Give all examples that have a mediator to be looked at, by its name."""
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted(ROOT.glob("examples/**/*.py"))
        if "\nmediator = " in (source := path.read_text())
        or "\ndef mediator(" in source
        or "\nasync def mediator(" in source
    ]


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Write an application into a module, and check it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    # Imported anew by each test, and gone afterwards.
    monkeypatch.delitem(sys.modules, "planted_app", raising=False)

    def write_and_check(source):
        (tmp_path / "planted_app.py").write_text(COMMON + source)
        monkeypatch.setitem(sys.modules, "planted_app", None)
        del sys.modules["planted_app"]
        return CliRunner().invoke(app, ["check", "planted_app:mediator"])

    return write_and_check


class TestCheck:
    @pytest.mark.parametrize("error", PLANTED)
    def test_planted(self, check, error):
        """Each planted error is found, and nothing else, with what mends it."""
        source, told = PLANTED[error]

        result = check(source)

        assert result.exit_code == 1, result.output
        *findings, summary = result.output.splitlines()
        assert len(findings) == 1, result.output
        assert summary.startswith("1 wiring error in ")
        place = 0
        for part in told:
            assert part in findings[0][place:], findings[0]
            place = findings[0].index(part, place)

    @pytest.mark.parametrize("application", SOUND)
    def test_sound(self, check, application):
        """What works is not complained of."""
        result = check(SOUND[application])

        assert result.exit_code == 0, result.output
        assert result.output.startswith("planted_app:mediator is wired completely: ")

    def test_all_at_once(self, check):
        """Everything that is wrong is told at once."""
        result = check(
            """
class Sell(Command): ...

mediator.use(AuthorisationMiddleware())
mediator.use(transaction)
mediator.handles(Buy)(buy)
"""
        )

        assert [line[:2] for line in result.output.splitlines()[:-1]] == [
            "1.",
            "2.",
            "3.",
        ]
        assert (
            result.output.splitlines()[-1] == "3 wiring errors in 1 request, 0 events"
        )

    @pytest.mark.parametrize("example", examples())
    def test_examples(self, example, monkeypatch, tmp_path):
        """Every example that can be looked at is wired completely."""
        monkeypatch.chdir(tmp_path)  # Some open a database where they are.
        result = CliRunner().invoke(app, ["check", f"{example}:mediator"])

        assert (result.exit_code, result.output.split(": ")[0]) == (
            0,
            f"{example}:mediator is wired completely",
        )

    def test_there_are_examples(self):
        """They are found by having a `mediator` at their top level."""
        assert {"examples.meetings", "examples.distributed.app"} <= set(examples())
