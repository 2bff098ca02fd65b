"""The shop behind aiohttp: `python -m examples.frameworks.aiohttp_app`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import asdict

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from diator import Mediator
from examples.frameworks import shop
from examples.frameworks.problems import STATUS, problem
from examples.frameworks.shop import PlaceOrder, ReadOrder

PROBLEM = "application/problem+json"
MEDIATOR = web.AppKey("mediator", Mediator)

routes = web.RouteTableDef()


async def open_shop(app: web.Application) -> AsyncGenerator[None]:
    async with shop.mediator() as mediator:
        app[MEDIATOR] = mediator
        yield


@routes.post("/orders")
async def place_order(request: web.Request) -> web.Response:
    command = msgspec.json.decode(await request.read(), type=PlaceOrder)
    order_id = await request.app[MEDIATOR].send(command)
    return web.json_response(order_id, status=201)


@routes.get(r"/orders/{order_id:\d+}")
async def read_order(request: web.Request) -> web.Response:
    query = ReadOrder(int(request.match_info["order_id"]))
    return web.json_response(asdict(await request.app[MEDIATOR].send(query)))


@web.middleware
async def tell(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except tuple(STATUS) as error:
        status, body = problem(error)
        return web.json_response(body, status=status, content_type=PROBLEM)


def make_app() -> web.Application:
    app = web.Application(middlewares=[tell])
    app.cleanup_ctx.append(open_shop)
    app.add_routes(routes)
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host="127.0.0.1")
