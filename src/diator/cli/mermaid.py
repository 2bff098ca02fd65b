"""Draw what a mediator is made of as a Mermaid flowchart, which GitHub renders."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zlib import crc32

from diator.description.model import Event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from diator.description.model import Description, Handler, Request

MAX_EDGES = 500
"""How many edges Mermaid draws, unless it is configured otherwise (`maxEdges`)."""

ESCAPED = {
    "#": "#35;",
    "&": "#amp;",
    "<": "#lt;",
    ">": "#gt;",
    '"': "#quot;",
    "`": "#96;",
    "\\": "#92;",
}

BROKER = "broker"
OUTBOX = "outbox"
SOURCE = "source"


def flowchart(description: Description, request: Request | None = None) -> list[str]:
    """
    Give the lines of a flowchart, which are the same whenever the wiring is.

    A request stands with its handler, an event apart from its handlers. What is a
    guess is dotted.

    Args:
        description: What the mediator is made of.
        request: Draw this one with its middlewares, and what comes of it; all requests
            if left out.

    """
    return _Flowchart(description, request).lines()


def count_edges(lines: Iterable[str]) -> int:
    """Tell how many edges a flowchart has."""
    return sum("-->" in line or "-.->" in line for line in lines)


class _Flowchart:
    def __init__(self, description: Description, request: Request | None) -> None:
        self._description = description
        self._request = request
        self._requests = {each.id: each for each in description.requests}
        self._events = {each.id: each for each in description.events}
        self._node_ids: dict[str, str] = {}
        # In the order of drawing. Dicts, for what is drawn once is enough.
        self._nodes: dict[str, str] = {}
        self._edges: dict[str, None] = {}

    def lines(self) -> list[str]:
        if self._request is None:
            self._draw_all()
        else:
            self._draw_from(self._request)
        lines = [*self._nodes.values(), *self._edges]
        return ["flowchart LR", *(f"    {line}" for line in lines)]

    def _draw_all(self) -> None:
        requests = list(self._requests.values())
        modules = sorted({each.module for each in requests})
        for module in modules:
            name = self._node_id("module", module)
            if len(modules) > 1:
                self._nodes[name] = f'subgraph {name}["{_escaped(module)}"]'
            for request in requests:
                if request.module == module:
                    self._draw_request(request)
            if len(modules) > 1:
                self._nodes[f"end of {name}"] = "end"
        for event in self._events.values():
            self._draw_event(event)
        for request in requests:
            if request.handler is not None:
                self._draw_effects(self._of_request(request), request.handler)
        for event in self._events.values():
            self._draw_handling(event)

    def _draw_from(self, request: Request) -> None:
        around = self._draw_chain(request)
        self._draw_request(request)
        if around is not None:
            self._edge(around, "-->", self._of_request(request))
        waiting: list[Request | Event] = [request]
        for message in waiting:
            handlers = _handlers_of(message)
            if message.id in self._events:
                self._draw_event(self._events[message.id])
                self._draw_handling(self._events[message.id])
            for handler in handlers:
                found: list[Request | Event] = [
                    *(self._events[each.event] for each in handler.raises),
                    *(self._requests[each.request] for each in handler.sends),
                ]
                waiting += [each for each in found if each not in waiting]
            if message.id in self._requests:
                self._draw_request(self._requests[message.id])
                for handler in handlers:
                    of_request = self._of_request(self._requests[message.id])
                    self._draw_effects(of_request, handler)

    def _draw_chain(self, request: Request) -> str | None:
        """Draw the middlewares around a request, and give the innermost."""
        before = None
        for number, layer in enumerate(request.middlewares, 1):
            if layer.applies:
                node = f"middleware_{number}"
                self._node(node, f'[/"{_escaped(layer.name)}"/]')
                if before is not None:
                    self._edge(before, "-->", node)
                before = node
        return before

    def _draw_request(self, request: Request) -> None:
        name = _escaped(request.name)
        handler = request.handler
        if handler is not None:
            told = _escaped(handler.name)
        elif self._description.findings_about(request):
            told = "no handler"
        else:
            told = "handled elsewhere"
        self._node(self._of_request(request), f'(["{name}<br/>{told}"])')
        self._draw_reception(request, self._of_request(request))

    def _draw_event(self, event: Event) -> None:
        self._node(self._of_event(event), f'{{{{"{_escaped(event.name)}"}}}}')
        self._draw_reception(event, self._of_event(event))

    def _draw_reception(self, message: Request | Event, node: str) -> None:
        """Draw where a message comes from, if it is received."""
        reception = self._description.received(message)
        if reception is not None and message.wire is not None:
            told = f"{_escaped(reception.broker)}<br/>group {_escaped(reception.group)}"
            self._node(SOURCE, f'[("{told}")]')
            self._edge(SOURCE, f"-->|{_escaped(message.wire.topic)}|", node)

    def _draw_handling(self, event: Event) -> None:
        """Draw where an event goes, and what its handlers do."""
        of_event = self._of_event(event)
        for subscription in event.handlers:
            handler = subscription.handler
            of_handler = self._node_id("handler", handler.id)
            self._node(of_handler, f'["{_escaped(handler.name)}"]')
            self._edge(of_event, "-->", of_handler)
            self._draw_effects(of_handler, handler)
        for delivery in event.delivery:
            node = OUTBOX if delivery == "outbox" else BROKER
            told = _escaped(self._description.broker or "")
            if delivery == "outbox":
                told = "outbox"
            elif self._description.in_memory:
                told = f"{told}<br/>in this process"
            self._node(node, f'[("{told}")]')
            self._edge(of_event, "-->", node)

    def _draw_effects(self, node: str, handler: Handler) -> None:
        for raised in handler.raises:
            event = self._events[raised.event]
            self._draw_event(event)
            arrow = "-->" if raised.certainty == "seen" else "-.->|guess|"
            self._edge(node, arrow, self._of_event(event))
        for sent in handler.sends:
            request = self._requests[sent.request]
            self._draw_request(request)
            how = f"{sent.how}s" if sent.how != "stream" else "streams"
            seen = sent.certainty == "seen"
            arrow = f"-->|{how}|" if seen else f"-.->|{how}, a guess|"
            self._edge(node, arrow, self._of_request(request))

    def _node(self, node: str, shape: str) -> None:
        self._nodes[node] = f"{node}{shape}"

    def _edge(self, start: str, arrow: str, end: str) -> None:
        self._edges[f"{start} {arrow} {end}"] = None

    def _of_request(self, request: Request) -> str:
        return self._node_id("request", request.id)

    def _of_event(self, event: Event) -> str:
        return self._node_id("event", event.id)

    def _node_id(self, kind: str, name: str) -> str:
        """Give an id that depends on the name alone, as far as that can be."""
        node_id = f"{kind}_{re.sub('[^A-Za-z0-9]+', '_', name)}"
        if self._node_ids.setdefault(node_id, name) != name:
            node_id = f"{node_id}_{crc32(name.encode()):08x}"
        return node_id


def _handlers_of(message: Request | Event) -> list[Handler]:
    if isinstance(message, Event):
        return [each.handler for each in message.handlers]
    return [] if message.handler is None else [message.handler]


def _escaped(text: str) -> str:
    return "".join(ESCAPED.get(character, character) for character in text)
