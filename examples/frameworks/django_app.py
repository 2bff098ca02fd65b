"""
The shop behind async views of Django: `uvicorn examples.frameworks.django_app:app`.

Django leaves the start and the end of a server to others, so that the shop is opened
around its application.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

import django
import msgspec
from asgiref.sync import markcoroutinefunction
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponseBase, JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from diator import Mediator
from examples.frameworks import shop
from examples.frameworks.problems import STATUS, problem
from examples.frameworks.shop import PlaceOrder, ReadOrder

PROBLEM = "application/problem+json"

View = Callable[..., Awaitable[HttpResponseBase]]

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1", "localhost"],
        MIDDLEWARE=[f"{__name__}.Telling"],
        ROOT_URLCONF=__name__,
    )
    django.setup()


def of_the_app(request: ASGIRequest) -> Mediator:
    mediator: Mediator = request.scope["state"]["mediator"]
    return mediator


@require_POST
async def place_order(request: ASGIRequest) -> JsonResponse:
    command = msgspec.json.decode(request.body, type=PlaceOrder)
    order_id = await of_the_app(request).send(command)
    return JsonResponse(order_id, status=201, safe=False)


@require_GET
async def read_order(request: ASGIRequest, order_id: int) -> JsonResponse:
    order = await of_the_app(request).send(ReadOrder(order_id))
    return JsonResponse(asdict(order))


urlpatterns = [path("orders", place_order), path("orders/<int:order_id>", read_order)]


class Telling:
    """Tells of errors, as middlewares of Django do."""

    async_capable = True
    sync_capable = False

    def __init__(self, handle: View) -> None:
        self._handle = handle
        markcoroutinefunction(self)

    async def __call__(self, request: ASGIRequest) -> HttpResponseBase:
        return await self._handle(request)

    def process_exception(
        self, _request: ASGIRequest, error: Exception
    ) -> JsonResponse | None:
        if not isinstance(error, tuple(STATUS)):
            return None
        status, body = problem(error)
        return JsonResponse(body, status=status, content_type=PROBLEM)


django_application = get_asgi_application()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Open the shop when the server starts, and close it when it ends."""
    if scope["type"] != "lifespan":
        await django_application(scope, receive, send)
        return
    async with AsyncExitStack() as stack:
        await receive()  # that it starts
        try:
            mediator = await stack.enter_async_context(shop.mediator())
        except Exception:
            # Else servers take it that the application knows no start, and go on.
            why = traceback.format_exc()
            await send({"type": "lifespan.startup.failed", "message": why})
            raise
        scope["state"]["mediator"] = mediator
        await send({"type": "lifespan.startup.complete"})
        await receive()  # that it ends
    await send({"type": "lifespan.shutdown.complete"})
