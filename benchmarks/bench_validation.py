"""The validation of a request against its annotations."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec
import pytest

from benchmarks.comparison import Case
from benchmarks.conftest import Compare
from benchmarks.parts import wrap_by_hand
from diator import Command, Handle, MiddlewareChain
from diator.exceptions import ValidationError
from diator.middlewares.validation import ValidationMiddleware

pytestmark = pytest.mark.benchmark(timer=time.thread_time)


@dataclass(frozen=True, kw_only=True)
class Register(Command):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    email: Annotated[str, msgspec.Meta(pattern="@")]
    age: Annotated[int, msgspec.Meta(ge=18)]
    newsletter: bool
    referrer: str | None = None


REQUEST = Register(name="Ada", email="ada@example.org", age=36, newsletter=False)
INVALID: dict[str, Any] = {
    "name": "",
    "email": "ada",
    "age": 3,
    "newsletter": "no",
    "referrer": 1,
}


async def handle(request: Register) -> None:
    pass


async def validate_by_hand(request: Register, handle: Handle) -> None:
    msgspec.convert(vars(request), Register)
    await handle(request)


def test_validation(compare: Compare, runner: Any) -> None:
    chain = MiddlewareChain()
    chain.add(ValidationMiddleware())
    by_hand = wrap_by_hand([validate_by_hand], handle)
    diator = chain.wrap(handle)

    for name, value in INVALID.items():
        invalid = replace(REQUEST, **{name: value})
        with pytest.raises(msgspec.ValidationError):
            runner.run(by_hand(invalid))
        with pytest.raises(ValidationError):
            runner.run(diator(invalid))

    compare(
        Case(
            name="validation of 5 fields",
            request=REQUEST,
            counted=[handle],
            target=1.3,
        ),
        by_hand=by_hand,
        diator=diator,
    )
