"""
The shop behind FastAPI: `uvicorn examples.frameworks.fastapi_app:app`.

A view sends one request, which has its own scope: one session, one transaction.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse

from diator import Mediator
from examples.frameworks import shop
from examples.frameworks.problems import STATUS, invalid, problem
from examples.frameworks.shop import FollowOrder, OrderView, PlaceOrder, ReadOrder


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
    async with shop.mediator() as mediator:
        yield {"mediator": mediator}


def of_the_app(request: Request) -> Mediator:
    mediator: Mediator = request.state.mediator
    return mediator


PROBLEM = "application/problem+json"

Shop = Annotated[Mediator, Depends(of_the_app)]


async def tell(_request: Request, error: Exception) -> JSONResponse:
    status, body = problem(error)
    return JSONResponse(body, status, media_type=PROBLEM)


app = FastAPI(lifespan=lifespan, exception_handlers=dict.fromkeys(STATUS, tell))


@app.exception_handler(RequestValidationError)
async def tell_unreadable(
    _request: Request, error: RequestValidationError
) -> JSONResponse:
    """Tell of what FastAPI itself finds as of what the mediator does."""
    findings = [
        (".".join(map(str, each["loc"][1:])), each["msg"]) for each in error.errors()
    ]
    return JSONResponse(invalid("No such request", findings), 422, media_type=PROBLEM)


@app.post("/orders", status_code=201)
async def place_order(command: PlaceOrder, mediator: Shop) -> int:
    return await mediator.send(command)


@app.get("/orders/{order_id}")
async def read_order(order_id: int, mediator: Shop) -> OrderView:
    return await mediator.send(ReadOrder(order_id))


def event(place: str) -> str:
    # As JSON, which is one line: a name of a product with others makes no events.
    return f"data: {json.dumps(place)}\n\n"


@app.get("/orders/{order_id}/progress")
async def follow_order(order_id: int, mediator: Shop) -> StreamingResponse:
    places = mediator.stream(FollowOrder(order_id))
    first = await anext(places)  # What is refused is told before a 200 is.

    async def events() -> AsyncIterator[str]:
        # When the client goes away, the handler is cancelled at once.
        async with aclosing(places):
            yield event(first)
            async for place in places:
                yield event(place)

    return StreamingResponse(events(), media_type="text/event-stream")
