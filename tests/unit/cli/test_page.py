"""The page of the wiring, as text; tests/integration/test_graph_page.py opens it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import asdict

import pytest
from typer.testing import CliRunner

from diator import Command, Mediator
from diator.cli.main import app
from diator.cli.page import page
from diator.description.describing import describe
from tests.unit.description import shop

SHOP = f"{shop.__name__}:make_mediator"
DATA = r'<script type="application/json" id="description">(.*?)</script>'


class Hostile(Command):
    """</script><script>alert(1)</script> <!-- & \u2028 \u2029 é."""


async def handle(command: Hostile) -> None: ...


def make_hostile():
    mediator = Mediator()
    mediator.handles(Hostile)(handle)
    return mediator


def graph(*arguments):
    return CliRunner().invoke(app, ["graph", *map(str, arguments)])


class TestPage:
    @pytest.mark.parametrize("make", [shop.make_mediator, make_hostile, Mediator])
    def test_description(self, make):
        """The page has all that is known, and nothing in it ends the script early."""
        description = describe(make())

        found = re.search(DATA, page(description), re.DOTALL)

        assert found
        assert not re.search("[<>&\u2028\u2029]", found[1])
        assert json.loads(found[1]) == json.loads(json.dumps(asdict(description)))

    def test_same(self):
        """It is the same whenever the wiring is, so that it can be committed."""
        first, second = (page(describe(shop.make_mediator())) for _ in range(2))

        assert first == second

    @pytest.mark.parametrize("tag", ["script", "style"])
    def test_policy(self, tag):
        """Nothing runs but what was written for the page, by its hash."""
        text = page(describe(Mediator()))
        (written,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)

        digest = base64.b64encode(hashlib.sha256(written.encode()).digest()).decode()

        assert f"{tag}-src 'sha256-{digest}';" in text
        assert "content=\"default-src 'none';" in text

    def test_alone(self):
        """It names no other file, and no address."""
        text = page(describe(Mediator()))

        assert not re.findall(r"\bsrc=|https?:|url\(|@import|<link|innerHTML", text)


class TestGraph:
    def test_html(self, tmp_path):
        """The page is written into a file, and where is said beside the output."""
        file = tmp_path / "wiring.html"

        result = graph(SHOP, "--html", file)

        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == f"diator: {file} is written\n"
        assert file.read_bytes().decode() == page(describe(shop.make_mediator()))

    def test_html_of_errors(self, tmp_path):
        """That the page has something wrong to show is said, too."""
        file = tmp_path / "wiring.html"

        result = graph("tests.unit.cli.test_wiring:make_broken", "--html", file)

        assert result.stderr == f"diator: {file} is written, and shows 1 wiring error\n"

    def test_html_of_one(self, tmp_path):
        """One request is chosen in the page, not before."""
        file = tmp_path / "wiring.html"

        result = graph(SHOP, "--html", file, "--request", "PlaceOrder")

        assert result.exit_code == 2
        assert "--request is for the flowchart" in result.output
        assert not file.exists()

    def test_unwritable(self, tmp_path):
        """A file that cannot be written is named."""
        file = tmp_path / "missing" / "wiring.html"

        result = graph(SHOP, "--html", file)

        assert result.exit_code == 2
        assert f"diator: cannot write {file}: No such file" in result.output
