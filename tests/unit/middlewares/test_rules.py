"""What is asked about a request, and what cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from diator import Mediator, Request
from diator.exceptions import BindingError, InUseError
from diator.middlewares.base import Handle
from diator.middlewares.rules import Rules


class Join(Request[list[Any]]):
    pass


class JoinLate(Join):
    pass


class Leave(Request[None]):
    pass


class Members(list[str]):
    pass


class Judge:
    def __init__(self, members: Members) -> None:
        self.members = members

    def judge(self, request: Request[Any]) -> str:
        return f"class {type(request).__name__} {self.members}"


class AsyncJudge:
    async def judge(self, request: Request[Any]) -> str:
        return "async class"


def function(request: Request[Any]) -> str:
    return "function"


async def injected(request: Request[Any], members: Members) -> str:
    return f"injected {members}"


@pytest.fixture
def rules() -> Rules:
    return Rules("rule", method="judge", verb="judge")


class TestRules:
    async def test_ask(self, rules: Rules):
        """A class is built by the container, what a function needs is injected."""
        for asked in (Judge, AsyncJudge, function, injected):
            rules.bind(Join, asked)
        mediator = Mediator()
        mediator.container[Members] = Members(["Ann"])

        @mediator.use
        async def ask(request: Join, handle: Handle) -> list[Any]:
            return [await rule.ask(request) for rule in rules.of(Join)]

        @mediator.handles(Join)
        async def handle(request: Join) -> list[Any]:
            return []

        assert await mediator.send(Join()) == [
            "class Join ['Ann']",
            "async class",
            "function",
            "injected ['Ann']",
        ]

    def test_of(self, rules: Rules):
        """Those of a type and of its bases are given, each once, as bound."""
        rules.bind(JoinLate, injected)
        rules.bind(Leave, AsyncJudge)
        rules.bind(Join, function)
        rules.bind(Join, injected)

        assert [rule.name for rule in rules.of(JoinLate)] == ["injected", "function"]
        assert [rule.name for rule in rules.of(Join)] == ["function", "injected"]
        assert rules.of(Request) == []

    def test_too_late(self, rules: Rules):
        """Once rules were asked for, no others can be bound."""
        rules.of(Join)

        with pytest.raises(InUseError, match=r"Judge comes too late.*bind each rule"):
            rules.bind(Join, Judge)

    def test_no_type(self, rules: Rules):
        """Rules are bound to classes alone."""
        with pytest.raises(BindingError, match="'Join' is not a type: bind a rule"):
            rules.bind("Join", Judge)  # type: ignore[arg-type]

    @pytest.mark.parametrize("asked", [Members, "function", None])
    def test_no_rule(self, rules: Rules, asked: Any):
        """What cannot be asked is refused, with what to do about it."""
        with pytest.raises(BindingError, match=r"is not a rule: bind.*`judge\(self,"):
            rules.bind(Join, asked)

    def test_wrong_signature(self, rules: Rules):
        """What cannot be called with a request is refused."""

        class Wrong:
            def judge(self) -> None: ...

        for asked in (Wrong, lambda: None):
            with pytest.raises(BindingError, match="cannot judge: it is called"):
                rules.bind(Join, asked)
