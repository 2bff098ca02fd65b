"""Where an event ends up: with its handlers, and with the message broker."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING, Any

from diator.container.scope import is_in_transaction, own_scope
from diator.events.collector import Attempt, EmissionCollector, collecting
from diator.events.event import CommandPosted, ECSTEvent, Event, NotificationEvent
from diator.exceptions import (
    ConfigurationError,
    EventError,
    EventHandlingError,
    EventPublishingError,
    EventsError,
)
from diator.handler import qualified_name
from diator.invocation import invocation
from diator.messages.headers import outgoing_headers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from diator.container.protocol import Container
    from diator.events.map import EventBinding
    from diator.events.message_brokers.protocol import Message, MessageBroker
    from diator.handler import Handler
    from diator.messages.registry import MessageRegistry
    from diator.middlewares.base import Handle

Call = tuple["Handler", "Handle"]
"""A handler, to tell it by, and how it is called."""


def calls(bindings: Iterable[EventBinding], container: Container) -> list[Call]:
    """Work out how handlers are called; one that cannot be built fails when called."""
    return [
        (binding.handler, _call(binding.handler, container)) for binding in bindings
    ]


def handler_sink(bindings: Sequence[EventBinding], container: Container) -> Handle:
    """
    Fan an event out to its handlers.

    All are tried; then an `EventsError` tells of those that failed, whose own events
    are dropped. Neighbours that are bound as concurrent run at the same time.
    """
    steps = [
        (concurrent, calls(group, container))
        for concurrent, group in groupby(bindings, lambda binding: binding.concurrent)
    ]

    async def fan_out(event: Any) -> None:
        failures: list[EventError] = []
        for concurrent, step in steps:
            if concurrent:
                failures += await _at_the_same_time(step, event)
            else:
                await _in_turn(step, event, failures)
        if failures:
            msg = f"{type(event).__name__} could not be handled by all its handlers"
            error = EventsError(msg, tuple(failures))
            error.event = event
            # They refer to this frame, which must not refer to them.
            failures.clear()
            try:
                raise error
            finally:
                del error

    return fan_out


def broker_sink(deliver: Handle) -> Handle:
    """Have an event published, at the end of its emission, after it was delivered."""

    async def deliver_and_publish(event: Any) -> None:
        collector: Any = collecting()
        while not isinstance(collector, EmissionCollector):
            collector = collector.outer
        try:
            await deliver(event)
        finally:
            collector.passed = event

    return deliver_and_publish


def message_type(event_type: type) -> str | None:
    """Give the name that the wire has for a kind of event, None if it stays here."""
    if issubclass(event_type, NotificationEvent):
        return "notification_event"
    if issubclass(event_type, ECSTEvent):
        return "ecst_event"
    if issubclass(event_type, CommandPosted):
        return "command"
    return None


async def publish(
    events: Sequence[Any], broker: MessageBroker | None, registry: MessageRegistry
) -> tuple[EventError, ...]:
    """Hand events to the broker in one batch, and tell of those it did not take."""
    if broker is None:
        reason = "there is no message broker: give the EventEmitter a message_broker"
        return tuple(EventPublishingError(event, broker, reason) for event in events)
    headers = outgoing_headers()
    failures: tuple[EventError, ...] = ()
    messages: list[Message] = []
    sent: list[Any] = []
    for event in events:
        try:
            messages.append(registry.message(event, headers))
        except Exception as error:  # noqa: BLE001  # a key is found by anybody's code
            failures += (_unpublished(event, broker, error),)
        else:
            sent.append(event)
    results: list[Exception | None]
    try:
        results = list(await broker.publish(messages)) if messages else []
        if len(results) != len(messages):
            results = [ValueError(f"it gave {len(results)} results")] * len(messages)
    except Exception as error:  # noqa: BLE001  # a broker of anybody's may raise anything
        results = [error] * len(messages)
    if results.count(None) < len(results):
        failures += tuple(
            _unpublished(event, broker, result)
            for event, result in zip(sent, results, strict=True)
            if result is not None
        )
    try:
        return failures
    finally:
        # Errors lead to this frame, which must not lead to them.
        del failures, results


def _unpublished(event: Event, broker: MessageBroker, error: Exception) -> EventError:
    return _caused_by(error, EventPublishingError(event, broker, str(error)))


def handling_failure(event: Event, handler: Handler, error: Exception) -> EventError:
    """Say which handler failed at which event, and what of."""
    return _caused_by(error, EventHandlingError(event, handler))


def _caused_by(error: Exception, failure: EventError) -> EventError:
    failure.__cause__ = error
    return failure


def failing(error: Exception) -> Handle:
    """Make what cannot be composed fail when it is called, and nothing else with it."""

    async def fail(_event: Any) -> None:
        # It is raised again and again, and must not gather the frames of all times.
        raise error.with_traceback(None)

    return fail


def _call(handler: Handler, container: Container) -> Handle:
    try:
        return invocation(handler, container)
    except Exception as error:  # noqa: BLE001  # a singleton of anybody's is built there
        return failing(error)


async def _in_turn(step: list[Call], event: Any, failures: list[EventError]) -> None:
    collector = collecting()
    for handler, call in step:
        mark = len(collector.events or ())
        try:
            await call(event)
        except Exception as error:  # noqa: BLE001  # whatever it is, the others go on
            if collector.events:
                del collector.events[mark:]
            failures.append(handling_failure(event, handler, error))


async def _at_the_same_time(step: list[Call], event: Any) -> list[EventError]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_apart(*call, event)) for call in step]
    return [failure for task in tasks if (failure := task.result()) is not None]


async def _apart(handler: Handler, call: Handle, event: Any) -> EventError | None:
    try:
        _refuse_in_transaction(handler)
        # A session, say, must not be shared between tasks.
        with Attempt():
            async with own_scope():
                await call(event)
    except Exception as error:  # noqa: BLE001  # whatever it is, the others go on
        return handling_failure(event, handler, error)
    return None


def _refuse_in_transaction(handler: Handler) -> None:
    """Refuse to have a handler change what nobody would commit."""
    if is_in_transaction():
        msg = (
            f"{qualified_name(handler)} is bound with concurrent=True and so has a "
            "scope of its own, outside of the transaction that runs around its event: "
            "bind it without, or leave the event out of the TransactionMiddleware"
        )
        raise ConfigurationError(msg)
