"""The shop behind Starlette: `uvicorn examples.frameworks.starlette_app:app`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from examples.frameworks import shop
from examples.frameworks.problems import STATUS, problem
from examples.frameworks.shop import PlaceOrder, ReadOrder


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncGenerator[dict[str, Any]]:
    async with shop.mediator() as mediator:
        yield {"mediator": mediator}


async def place_order(request: Request) -> JSONResponse:
    command = msgspec.json.decode(await request.body(), type=PlaceOrder)
    return JSONResponse(await request.state.mediator.send(command), status_code=201)


async def read_order(request: Request) -> JSONResponse:
    query = ReadOrder(request.path_params["order_id"])
    return JSONResponse(asdict(await request.state.mediator.send(query)))


async def tell(_request: Request, error: Exception) -> JSONResponse:
    status, body = problem(error)
    return JSONResponse(body, status, media_type="application/problem+json")


app = Starlette(
    routes=[
        Route("/orders", place_order, methods=["POST"]),
        Route("/orders/{order_id:int}", read_order),
    ],
    exception_handlers=dict.fromkeys(STATUS, tell),
    lifespan=lifespan,
)
