"""
The shop behind FastAPI: `uvicorn examples.frameworks.fastapi_app:app`.

A view sends one request, which has its own scope: one session, one transaction.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse

from diator import Mediator
from examples.frameworks import shop
from examples.frameworks.problems import STATUS, problem
from examples.frameworks.shop import FollowOrder, OrderView, PlaceOrder, ReadOrder


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
    async with shop.mediator() as mediator:
        yield {"mediator": mediator}


def of_the_app(request: Request) -> Mediator:
    mediator: Mediator = request.state.mediator
    return mediator


Shop = Annotated[Mediator, Depends(of_the_app)]


async def tell(_request: Request, error: Exception) -> JSONResponse:
    status, body = problem(error)
    return JSONResponse(body, status, media_type="application/problem+json")


async def tell_unreadable(_request: Request, error: Exception) -> JSONResponse:
    """Tell what FastAPI finds, which reads the body, as everything else is told."""
    findings: Any = error.errors() if isinstance(error, RequestValidationError) else ()
    errors = [
        {"field": ".".join(map(str, each["loc"][1:])), "detail": each["msg"]}
        for each in findings
    ]
    body = {"title": "this is no such request", "status": 422, "errors": errors}
    return JSONResponse(body, 422, media_type="application/problem+json")


app = FastAPI(
    lifespan=lifespan,
    exception_handlers={
        **dict.fromkeys(STATUS, tell),
        RequestValidationError: tell_unreadable,
    },
)


@app.post("/orders", status_code=201)
async def place_order(command: PlaceOrder, mediator: Shop) -> int:
    return await mediator.send(command)


@app.get("/orders/{order_id}")
async def read_order(order_id: int, mediator: Shop) -> OrderView:
    return await mediator.send(ReadOrder(order_id))


@app.get("/orders/{order_id}/progress")
async def follow_order(order_id: int, mediator: Shop) -> StreamingResponse:
    places = mediator.stream(FollowOrder(order_id))
    # What refuses the request does so before the answer begins.
    first = await anext(places)

    async def events() -> AsyncIterator[str]:
        # When the client goes away, the handler is cancelled at once.
        async with aclosing(places):
            yield f"data: {first}\n\n"
            async for place in places:
                yield f"data: {place}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")
