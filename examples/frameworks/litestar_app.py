"""
The shop behind Litestar: `uvicorn examples.frameworks.litestar_app:app`.

Litestar reads a body with msgspec, so that the rules of a request's fields are checked
before it is sent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import ValidationException
from litestar.params import FromPath, JSONBody

from diator import Mediator
from examples.frameworks import shop
from examples.frameworks.problems import STATUS, invalid, problem
from examples.frameworks.shop import OrderView, PlaceOrder, ReadOrder

PROBLEM = "application/problem+json"


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncGenerator[None]:
    async with shop.mediator() as mediator:
        app.state.mediator = mediator
        yield


async def of_the_app(state: State) -> Mediator:
    mediator: Mediator = state.mediator
    return mediator


@post("/orders")
async def place_order(
    data: JSONBody[PlaceOrder], mediator: NamedDependency[Mediator]
) -> int:
    return await mediator.send(data)


@get("/orders/{order_id:int}")
async def read_order(
    order_id: FromPath[int], mediator: NamedDependency[Mediator]
) -> OrderView:
    return await mediator.send(ReadOrder(order_id))


def tell(_request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    status, body = problem(error)
    return Response(body, status_code=status, media_type=PROBLEM)


def tell_invalid(
    _request: Request[Any, Any, Any], error: ValidationException
) -> Response[Any]:
    findings: Any = error.extra
    body = invalid(error.detail, [(each["key"], each["message"]) for each in findings])
    return Response(body, status_code=422, media_type=PROBLEM)


app = Litestar(
    [place_order, read_order],
    dependencies={"mediator": of_the_app},
    exception_handlers={
        **dict.fromkeys(STATUS, tell),
        ValidationException: tell_invalid,
    },
    lifespan=[lifespan],
    logging_config=None,  # Else Litestar sets up the logging of the whole process.
)
