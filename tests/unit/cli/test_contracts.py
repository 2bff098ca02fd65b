"""The commands that write contracts, and see that they are kept."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

from diator import NotificationEvent
from diator.cli.main import app
from diator.contracts.contract import Contract
from diator.messages.registry import MessageRegistry

HERE = __name__


@dataclass(frozen=True, kw_only=True)
class Placed(NotificationEvent):
    order_id: int


@dataclass(frozen=True, kw_only=True)
class PlacedOtherwise(NotificationEvent):
    order_id: str
    customer: str | None


def make_contract(event_type=Placed):
    registry = MessageRegistry()
    registry.add(event_type, name="order.placed.v1")
    return Contract(registry, title="Shop", version="1.0.0")


otherwise = make_contract(PlacedOtherwise)


def diator(*arguments):
    return CliRunner().invoke(app, ["contract", *map(str, arguments)])


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "asyncapi.json"
    assert diator("asyncapi", f"{HERE}:make_contract", "--output", file).output == ""
    return file


class TestGive:
    def test_asyncapi(self, file):
        """It is printed, or written to a file."""
        printed = diator("asyncapi", f"{HERE}:make_contract").stdout

        assert printed == file.read_text()
        assert json.loads(printed) == make_contract().asyncapi()

    def test_json_schema(self):
        """So is the JSON Schema."""
        printed = diator("json-schema", f"{HERE}:make_contract").stdout

        assert json.loads(printed) == make_contract().json_schema()

    def test_nowhere(self, tmp_path):
        """A file that cannot be written is told of."""
        file = tmp_path / "missing" / "asyncapi.json"
        result = diator("asyncapi", f"{HERE}:make_contract", "--output", file)

        assert result.exit_code == 2
        assert "cannot be written" in result.stderr

    def test_no_contract(self):
        """Something else than a contract is told of."""
        result = diator("asyncapi", f"{HERE}:Placed.__name__")

        assert result.exit_code == 2
        assert "the Contract" in result.stderr


class TestCheck:
    def test_kept(self, file):
        """What has not changed is kept."""
        result = diator("check", f"{HERE}:make_contract", file)

        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == f"{HERE}:make_contract keeps what {file} says\n"

    def test_broken(self, file):
        """What breaks programs of others is told, all of it, and fails."""
        result = diator("check", f"{HERE}:otherwise", file)

        assert result.exit_code == 1
        assert result.stdout.splitlines() == [
            "order.placed.v1, payload.order_id: is string instead of integer",
            f"1 change breaks what others know by {file}",
        ]

    def test_several(self, file):
        """Several changes are counted."""
        diator("asyncapi", f"{HERE}:otherwise", "--output", file)

        result = diator("check", f"{HERE}:make_contract", file)

        assert result.stdout.splitlines()[-1] == (
            f"2 changes break what others know by {file}"
        )

    @pytest.mark.parametrize("content", [None, "{", "{}"])
    def test_no_document(self, tmp_path, content):
        """A file that is none is told of."""
        file = tmp_path / "asyncapi.json"
        if content is not None:
            file.write_text(content)

        result = diator("check", f"{HERE}:make_contract", file)

        assert result.exit_code == 2
        assert result.stderr.startswith("diator: ")
