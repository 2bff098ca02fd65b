"""The parts of a mediator that are looked at, and what is known of them meanwhile."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING

from diator.description.needs import implementation
from diator.description.reading import Reader
from diator.description.source import Sources
from diator.handler import module_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from diator.consumer.consumer import Consumer
    from diator.events.message_brokers.protocol import MessageBroker
    from diator.handler import Handler
    from diator.mediator import Mediator
    from diator.middlewares.base import MiddlewareChain


class Parts:
    """
    The parts of a mediator, and what is known of them meanwhile.

    Args:
        mediator: What they are the parts of.
        consumer: What has it handle messages, if one is looked at.

    """

    def __init__(self, mediator: Mediator, consumer: Consumer | None = None) -> None:
        self.consumer = consumer
        self.request_map = mediator.request_map
        self.request_chain = mediator.middleware_chain
        self.container = mediator.container
        self.emitter = mediator.event_emitter
        self.sources = Sources()
        self.reader = Reader(
            self.sources, lambda wanted: implementation(self.container, wanted)[0]
        )

    def uses(self) -> Iterator[tuple[type, Handler, MiddlewareChain]]:
        """Give all handlers, each with what it is bound to, and the chain around it."""
        for request_type in self.request_map:
            yield request_type, self.request_map.get(request_type), self.request_chain
        for binding in self.emitter.event_map:
            yield binding.event_type, binding.handler, self.emitter.middleware_chain

    def bound_modules(self) -> set[str]:
        """Give the modules that declare the requests that are bound."""
        return {request_type.__module__ for request_type in self.request_map}

    def shared_modules(self) -> set[str]:
        """Give the modules that other programs have, too, for all that is known."""
        return {added.__module__ for added, _ in self.emitter.registry}


def is_in_memory(broker: MessageBroker | None) -> bool:
    """Tell whether nothing leaves the process by a broker."""
    from diator.events.message_brokers.memory import (  # noqa: PLC0415  # the engine does without
        InMemoryMessageBroker,
    )

    return isinstance(broker, InMemoryMessageBroker)


def declared(modules: Iterable[str], bases: tuple[type, ...]) -> list[type]:
    """Give the classes that modules declare at their top level, in their order."""
    return [
        each
        for name in sorted(modules)
        for each in vars(sys.modules.get(name, object)).values()
        if inspect.isclass(each)
        and issubclass(each, bases)
        and each.__module__ == name
        and module_of(each).partition(".")[0] != "diator"
    ]
