"""
What a mediator is made of: plain data, which `dataclasses.asdict` makes JSON of.

Messages, handlers and middlewares are told by an `id`, such as
`shop.orders:PlaceOrder`, which stays the same from run to run. Types are given as
text, as one would write them. All lists are in an order that stays, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RequestKind = Literal["command", "query", "request", "stream"]
EventKind = Literal["domain", "notification", "ecst", "event"]

Certainty = Literal["seen", "guess"]
"""
How sure it is that a handler does something.

It is `seen` where the handler's own source plainly does it, in whatever branch. It is a
`guess` where it stands in what the handler calls, or where an event is made and nothing
plainly raises it.
"""

Delivery = Literal["broker", "outbox"]

LayerRole = Literal["transaction", "outbox", "inbox", "domain events"]
"""
What a middleware is to those inside it.

It runs them in a transaction, puts their outbound events into an outbox, keeps from
them what was handled already, or has their domain events handled before it ends.
"""

How = Literal["send", "stream", "post"]

Building = Literal["registered", "class", "default", "missing"]
"""
Where a need is got from.

The container has something registered for it, or builds its class; or the parameter
keeps its default; or nothing supplies it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    Where something is defined.

    Attributes:
        module: The name of the module.
        file: The file, as the interpreter knows it; None where there is none.
        line: The line where it begins; None where the source cannot be read.

    """

    module: str
    file: str | None
    line: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """
    A field of a message.

    Attributes:
        name: Its name.
        type: Its type, with the bounds that it is annotated with.
        required: Whether it has no default.

    """

    name: str
    type: str
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """
    What a message is called between processes.

    Attributes:
        name: Tells its type.
        topic: Where it is published.
        keyed: Whether messages with the same key stay in order.
        registered: Whether it was added to the registry; else these are the defaults.

    """

    name: str
    topic: str
    keyed: bool
    registered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """
    A middleware of a chain, seen from one type of message.

    Attributes:
        id: Its class or function.
        name: The same, short.
        applies: Whether messages of this type go through it.
        only: What it was added with, such as `only=Command`; empty for all messages.
        reason: Why they do, or do not.
        roles: What it is to those inside it, as far as it says.
        built: Whether the container builds it.
        place: Where it is defined.

    """

    id: str
    name: str
    applies: bool
    only: str
    reason: str
    roles: tuple[LayerRole, ...]
    built: bool
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """
    What something is built from, or called with.

    Attributes:
        parameter: The parameter that asks for it.
        type: What the parameter asks for.
        building: Where it is got from.
        built_as: The class that is built for it, where that is another one and the
            container says so.
        problem: Why it is missing; None where it is not.
        needs: What it needs itself, as far as its class tells.

    """

    parameter: str
    type: str
    building: Building
    built_as: str | None
    problem: str | None
    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Raise:
    """
    An event that a handler may raise.

    Attributes:
        event: The event's id.
        certainty: How sure that is.
        via: The function whose source says so.
        place: Where it says so.

    """

    event: str
    certainty: Certainty
    via: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """
    A request that a handler may send.

    Attributes:
        request: The request's id.
        how: Whether it is sent, streamed or posted.
        certainty: How sure that is.
        via: The function whose source says so.
        place: Where it says so.

    """

    request: str
    how: How
    certainty: Certainty
    via: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """
    What handles a message.

    Attributes:
        id: Its class or function.
        name: The same, short.
        kind: Which of the two it is.
        summary: The first line of its docstring, empty where it has none.
        place: Where it is defined.
        needs: What it is built from, or called with beside the message.
        raises: The events that it may raise, the sure ones first.
        sends: The requests that it may send, the sure ones first.
        unknown: What its source does not tell, each a sentence.

    """

    id: str
    name: str
    kind: Literal["class", "function"]
    summary: str
    place: Place
    needs: tuple[Need, ...]
    raises: tuple[Raise, ...]
    sends: tuple[Send, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """
    A handler among those of an event.

    Attributes:
        bound_to: The id of the type that it is bound to: the event's, or a base of it.
        concurrent: Whether it runs at the same time as its concurrent neighbours.
        handler: The handler.

    """

    bound_to: str
    concurrent: bool
    handler: Handler


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    A type of request.

    Attributes:
        id: Tells it from others.
        name: The name of its class.
        module: The module that declares it.
        qualified_name: Its name in the module.
        summary: The first line of its docstring, empty where it has none.
        place: Where it is defined.
        kind: What it derives from.
        answer: The type of its answer; of a stream, that of its items.
        fields: Its fields.
        wire: What it is called where it is posted; None unless it is a command that
            is in the registry, or posted by a handler.
        middlewares: All those around requests, the outermost first, with the reason
            why each applies or does not.
        handler: What handles it; None where nothing here does.

    """

    id: str
    name: str
    module: str
    qualified_name: str
    summary: str
    place: Place
    kind: RequestKind
    answer: str
    fields: tuple[Field, ...]
    wire: Wire | None
    middlewares: tuple[Layer, ...]
    handler: Handler | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    A type of event.

    Attributes:
        id: Tells it from others.
        name: The name of its class.
        module: The module that declares it.
        qualified_name: Its name in the module.
        summary: The first line of its docstring, empty where it has none.
        place: Where it is defined.
        kind: What it derives from.
        fields: Its fields.
        wire: What it is called between processes; None where it stays in this one.
        middlewares: All those around events, the outermost first, with the reason why
            each applies or does not.
        handlers: Its handlers, in the order in which they are called.
        delivery: Where it goes beside its handlers: `broker`, `outbox`, or both, where
            that depends on what raises it. Empty where it stays in this process, is
            only received, or there is no broker.

    """

    id: str
    name: str
    module: str
    qualified_name: str
    summary: str
    place: Place
    kind: EventKind
    fields: tuple[Field, ...]
    wire: Wire | None
    middlewares: tuple[Layer, ...]
    handlers: tuple[Subscription, ...]
    delivery: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    Something that is wrong with the wiring, as `Mediator.check` finds it.

    Attributes:
        text: What it is, and how it is mended.
        messages: The ids of the requests and events that it is about, which may be
            none.

    """

    text: str
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """
    What a consumer receives, and has the mediator handle.

    Attributes:
        broker: The class of the broker that it receives from.
        group: Its consumer group.
        topics: What it receives, which may be nothing.
        messages: The ids of the requests and events that it receives.

    """

    broker: str
    group: str
    topics: tuple[str, ...]
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """
    Everything that a mediator is made of.

    Attributes:
        container: The class of the container's adapter.
        broker: The class of the message broker; None where there is none.
        in_memory: Whether that is diator's broker in memory, from which nothing leaves
            this process.
        reception: What a consumer has it handle; None where none was given.
        requests: All requests that are bound, in the registry, sent by a handler, or
            lack a handler, by module and name.
        events: All events that are bound, in the registry, raised by a handler, or
            cannot leave, by module and name.
        findings: All that is wrong, in the order of a send.
        not_judged: The ids of requests without a handler of which it is not known
            whether they were forgotten: their module is shared with other programs.

    """

    container: str
    broker: str | None
    in_memory: bool
    reception: Reception | None
    requests: tuple[Request, ...]
    events: tuple[Event, ...]
    findings: tuple[Finding, ...]
    not_judged: tuple[str, ...]

    def findings_about(self, message: Request | Event) -> list[tuple[int, Finding]]:
        """Give what is wrong with a message, with its number among all findings."""
        return [
            (number, finding)
            for number, finding in enumerate(self.findings, 1)
            if message.id in finding.messages
        ]

    def received(self, message: Request | Event) -> Reception | None:
        """Give where a message is received from, None where it is not."""
        reception = self.reception
        is_received = reception is not None and message.id in reception.messages
        return reception if is_received else None

    def raisers(self, event: Event) -> list[tuple[Request | Event, Raise]]:
        """Give the messages whose handlers may raise an event, and how."""
        return [
            (message, raised)
            for message, handler in self.handlers()
            for raised in handler.raises
            if raised.event == event.id
        ]

    def senders(self, request: Request) -> list[tuple[Request | Event, Send]]:
        """Give the messages whose handlers may send a request, and how."""
        return [
            (message, sent)
            for message, handler in self.handlers()
            for sent in handler.sends
            if sent.request == request.id
        ]

    def handlers(self) -> list[tuple[Request | Event, Handler]]:
        """Give all handlers, each with every message that it handles."""
        return [
            *(
                (request, request.handler)
                for request in self.requests
                if request.handler is not None
            ),
            *(
                (event, subscription.handler)
                for event in self.events
                for subscription in event.handlers
            ),
        ]
