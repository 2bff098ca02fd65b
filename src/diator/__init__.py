"""CQRS for asyncio: requests to handlers, events to whoever listens."""

from diator.events.collector import collect
from diator.events.event import DomainEvent, ECSTEvent, Event, NotificationEvent
from diator.events.event_emitter import EventEmitter
from diator.events.event_handler import EventHandler
from diator.events.map import EventMap
from diator.mediator import Mediator
from diator.middlewares.base import Handle, Middleware, MiddlewareChain
from diator.requests.map import RequestMap
from diator.requests.request import Command, Query, Request, StreamRequest
from diator.requests.request_handler import RequestHandler, StreamHandler
from diator.response import Response

__version__ = "0.2.0"

__all__ = [
    "Command",
    "DomainEvent",
    "ECSTEvent",
    "Event",
    "EventEmitter",
    "EventHandler",
    "EventMap",
    "Handle",
    "Mediator",
    "Middleware",
    "MiddlewareChain",
    "NotificationEvent",
    "Query",
    "Request",
    "RequestHandler",
    "RequestMap",
    "Response",
    "StreamHandler",
    "StreamRequest",
    "collect",
]
