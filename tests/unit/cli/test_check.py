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
            result.output.splitlines()[-1] == "3 wiring errors in 2 requests, 0 events"
        )

    def test_not_judged(self, check):
        """What may have been forgotten, or be handled elsewhere, is told as such."""
        result = check(
            """
class Sold(NotificationEvent): ...
class Sell(Command): ...
class Read(Query[int]): ...
class Pack(Command): ...
class Return(Command): ...

emitter.registry.add(Sold)
emitter.registry.add(Return)
mediator.container[Mediator] = mediator

@mediator.handles(Buy)
async def buy_it(command: Buy, mediator: Mediator) -> None:
    await mediator.post(Pack())
"""
        )

        assert result.exit_code == 0
        _, told = result.output.splitlines()
        assert told == (
            "not judged, because their module has messages of other programs: "
            "Sell, Read, Return"
        )

    def test_not_judged_beside_errors(self, check):
        """It is told of what is wrong, too, and what is sent is judged."""
        result = check(
            """
class Sell(Command): ...
class Read(Query[int]): ...

emitter.registry.add(Buy)
mediator.container[Mediator] = mediator

@mediator.handles(Buy)
async def buy_it(command: Buy, mediator: Mediator) -> None:
    await mediator.send(Sell())
"""
        )

        assert result.exit_code == 1
        finding, _, told = result.output.splitlines()
        assert finding.startswith("1. Sell has no handler")
        assert told.endswith("of other programs: Read")

    def test_all_parameters(self, check):
        """Each parameter that cannot be supplied is told, also further inside."""
        result = check(
            """
class Till:
    def __init__(self, port: Port, limit: int) -> None: ...

class Limit:
    def __init__(self, number: int, port: Port) -> None: ...

    async def __call__(self, message, handle): ...

@dataclass(frozen=True)
class Sell(Command): ...

class SellHandler(RequestHandler[Sell, None]):
    def __init__(self, till: Till, bare, port: Port, other: Buy) -> None: ...

    async def handle(self, request: Sell) -> None: ...

@mediator.handles(Buy)
async def buy_for(command: Buy, price: float, tax=2, *, port: Port) -> None: ...

def begin_with(session: AsyncSession, port: Port):
    return session.begin()

mediator.bind(Sell, SellHandler)
mediator.use(Limit)
mediator.use(TransactionMiddleware(begin_with))
"""
        )

        *findings, summary = result.output.splitlines()
        assert summary == "10 wiring errors in 2 requests, 0 events"
        for finding, told in zip(
            findings,
            [
                ("Limit cannot be built: its parameter 'number': ",),
                ("Limit cannot be built: its parameter 'port': ",),
                ("buy_for cannot be called: its parameter 'price': ",),
                ("buy_for cannot be called: its parameter 'port': ",),
                ("SellHandler", "'till'", "Till cannot be built: its parameter 'port'"),
                ("SellHandler", "'till'", "Till cannot be built: its parameter 'limit"),
                ("SellHandler", "its parameter 'bare': it has no annotation"),
                ("SellHandler", "its parameter 'port': Port is abstract"),
                ("TransactionMiddleware", "begin_with", "'session'"),
                ("TransactionMiddleware", "begin_with", "'port'"),
            ],
            strict=True,
        ):
            for part in told:
                assert part in finding

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
