"""Have what comes from other processes handled."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from diator.backoff import Backoff
from diator.consumer.consumption import Consumption
from diator.consumer.dispatch import Dispatch
from diator.consumer.retry import is_transient
from diator.consumer.settings import Counters, Settings
from diator.events.event import Event
from diator.events.message_brokers.subscription import TellsLag
from diator.exceptions import ConfigurationError, InUseError
from diator.messages.decoding import MessageDecoder

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from diator.events.message_brokers.subscription import SubscribableBroker
    from diator.mediator import Mediator


LAG_SECONDS = 1.0
"""
How long a broker may take to tell how far a group is behind.

Probes usually wait for one second or more, and the rest is to be told all the same.
"""


class Consumer:
    """
    Receives messages from a broker, and has the same mediator handle them.

    An event goes through the chain around events to its handlers, a command through
    the chain around requests to its handler. Meanwhile `received_message()` tells an
    inbox what it is, and what is published has its correlation id, and its id as the
    causation id. It is acknowledged when all of that is over, and so after the commit:
    a crash before means that it is delivered again.

    `async with consumer:` runs it inside an application, `await consumer.run()` in a
    process of its own. Either ends in good order: nothing more is received, what is
    being handled is finished, and what is not finished then is given back.

    Messages with the same key are handled one after the other, in their order. What
    fails is tried again in its place, and put aside as a dead letter when it has failed
    too often, or in a way that no attempt will change; the cause goes with it.

    Args:
        mediator: Handles the messages. Only types that its registry has
            (`mediator.event_emitter.registry`) are ever decoded.
        broker: Where the messages come from.
        group: The consumer group: of all its members, one gets each message. Usually
            the name of the service.
        topics: What is received; if left out, the topics of the types in the registry
            that have handlers here.
        partitions: The numbers of the partitions that are this member's alone, for a
            broker whose `subscribe` takes them; all of them, if left out.
        concurrency: How many messages are handled at the same time. 16 keep a
            connection pool of the usual size, and a database, busy and not flooded.
        prefetch: How many messages are held at the same time, with those that wait
            for their turn, or for their next attempt: when all of them do, no more are
            received until then. Also how many come again after a crash. 256 make
            receiving and acknowledging in batches worth the while.
        max_attempts: How often a message is tried at most, counting deliveries after
            crashes, so that one that kills the process ends as a dead letter, too. So
            that what was handled with it does not, what comes for the third time is
            handled alone. 10, with the usual backoff, last about 40 seconds. What fails
            because something is out of reach (a `ConnectionError`, a host that is not
            found, or an error by which SQLAlchemy tells that PostgreSQL does not
            answer) does not count as long as no other message is handled in between: a
            database may be away for hours.
        backoff: How long to wait between attempts.
        is_transient: Tells errors that may pass from those that will not. It is asked
            for everything that an attempt has failed by, and one lasting error is
            enough to put the message aside.
        unknown: What becomes of messages of types that are not in the registry:
            `dead-letter` puts them aside, so that none is lost by an oversight; `skip`
            passes over them, for topics that are shared with what others need.
        heartbeat: Every how many seconds the broker is told which messages are still
            held; at most a third of what it waits for that, which are 30 s with
            Redis Streams.
        drain_timeout: How many seconds what is being handled has to finish when the
            consumer stops. A Redis that does not answer may take up to 17 more: whoever
            kills what does not end, such as Kubernetes, is to wait for 40.

    Raises:
        ConfigurationError: One of the arguments cannot work.

    """

    def __init__(  # noqa: PLR0913  # each is about something else, all by keyword
        self,
        mediator: Mediator,
        broker: SubscribableBroker,
        *,
        group: str,
        topics: Sequence[str] | None = None,
        partitions: Sequence[int] | None = None,
        concurrency: int = 16,
        prefetch: int = 256,
        max_attempts: int = 10,
        backoff: Backoff = Backoff(),  # noqa: B008  # it is frozen
        is_transient: Callable[[Exception], bool] = is_transient,
        unknown: Literal["dead-letter", "skip"] = "dead-letter",
        heartbeat: float = 10.0,
        drain_timeout: float = 20.0,
    ) -> None:
        if not hasattr(broker, "subscribe"):
            msg = (
                f"{type(broker).__name__} cannot be received from: it has no "
                "`subscribe`, as `SubscribableBroker` says"
            )
            raise ConfigurationError(msg)
        if not group:
            msg = "group must have a name, such as that of the service"
            raise ConfigurationError(msg)
        for name, number in (
            ("concurrency", concurrency),
            ("prefetch", prefetch),
            ("max_attempts", max_attempts),
        ):
            if number < 1:
                msg = f"{name} must be at least 1, not {number}"
                raise ConfigurationError(msg)
        if not 0 < heartbeat < math.inf:
            msg = f"heartbeat must be a number of seconds above 0, not {heartbeat}"
            raise ConfigurationError(msg)
        if not 0 <= drain_timeout < math.inf:
            msg = f"drain_timeout must be 0 seconds or more, not {drain_timeout}"
            raise ConfigurationError(msg)
        if unknown not in ("dead-letter", "skip"):
            msg = f"unknown must be 'dead-letter' or 'skip', not {unknown!r}"
            raise ConfigurationError(msg)
        self._mediator = mediator
        self._broker = broker
        subscribe: Any = broker.subscribe
        if partitions is not None:
            subscribe = partial(subscribe, partitions=partitions)
        self._subscribe = subscribe
        self._topics = topics
        self._settings = Settings(
            group=group,
            concurrency=concurrency,
            prefetch=prefetch,
            max_attempts=max_attempts,
            backoff=backoff,
            is_transient=is_transient,
            skips_unknown=unknown == "skip",
            heartbeat=heartbeat,
            drain_timeout=drain_timeout,
        )
        self._counters = Counters()
        self._consumption: Consumption | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def mediator(self) -> Mediator:
        """Handles the messages."""
        return self._mediator

    @property
    def broker(self) -> SubscribableBroker:
        """Where the messages come from."""
        return self._broker

    @property
    def group(self) -> str:
        """The consumer group."""
        return self._settings.group

    @property
    def topics(self) -> Sequence[str]:
        """
        What is received.

        Raises:
            ConfigurationError: There is nothing to receive.

        """
        return self._topics_to_receive()

    async def run(self) -> None:
        """
        Receive messages and have them handled, until `stop` is called.

        A broker that cannot be reached is waited for. To cancel it ends it at once:
        what is being handled is cancelled, and given back.

        Raises:
            ConfigurationError: There is nothing to receive, a type in the registry
                cannot be, or the broker cannot do what is asked of it.
            InUseError: It runs already.

        """
        await self._run(self._begin())

    def stop(self) -> None:
        """Have it finish; can be called at any time, and again."""
        if self._consumption is not None:
            self._consumption.stop()

    async def health(self) -> dict[str, Any]:
        """
        Say how it does, for a probe.

        Returns:
            `running`; `connected`, whether the broker answered last time; `in_flight`,
            how many messages are held; `handled`, `retried`, `dead_lettered` and
            `skipped`, how many were; `last_progress`, when one was done with last, in
            UTC, None if none was; and `lag`, how far the group is behind in each topic,
            where the broker tells it: `waiting`, how many messages no member was given
            yet, and `pending`, how many were not acknowledged. It is None while the
            broker does not answer.

        """
        counters = self._counters
        consumption = self._consumption
        health: dict[str, Any] = {
            "running": consumption is not None,
            "connected": consumption is not None and consumption.is_connected,
            "in_flight": 0 if consumption is None else consumption.in_flight,
            "handled": counters.handled,
            "retried": counters.retried,
            "dead_lettered": counters.dead_lettered,
            "skipped": counters.skipped,
            "last_progress": counters.last_progress,
        }
        if consumption is not None and isinstance(self._broker, TellsLag):
            health["lag"] = await self._lag(self._broker)
        return health

    async def __aenter__(self) -> Self:
        """
        Run in the background.

        Raises:
            ConfigurationError: As `run` does.
            InUseError: As `run` does.

        """
        self._task = asyncio.create_task(self._run(self._begin()))
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, and wait until it has finished."""
        task, self._task = self._task, None
        if task is not None:  # pragma: no branch  # for type checkers
            self.stop()
            # Whoever cancels the waiting ends the consumer, which then ends the task.
            await task

    async def _lag(self, broker: TellsLag) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout(LAG_SECONDS):
                return {
                    topic: asdict(await broker.lag(topic, self.group))
                    for topic in self.topics
                }
        except Exception:  # noqa: BLE001  # a broker of anybody's may raise anything
            return None

    def _begin(self) -> Consumption:
        if self._consumption is not None:
            msg = "the consumer runs already: make one for each time it is to run"
            raise InUseError(msg)
        decoder = MessageDecoder(self._mediator.event_emitter.registry)
        dispatch = Dispatch(self._mediator, decoder, self._settings.group)
        self._consumption = Consumption(
            partial(
                self._subscribe, self._topics_to_receive(), group=self._settings.group
            ),
            dispatch,
            self._settings,
            self._counters,
        )
        return self._consumption

    async def _run(self, consumption: Consumption) -> None:
        try:
            await consumption.run()
        finally:
            self._consumption = None

    def _topics_to_receive(self) -> Sequence[str]:
        if self._topics is not None:
            return self._topics
        topics = {
            entry.topic: None
            for message_type, entry in self._mediator.event_emitter.registry
            if self._is_handled(message_type)
        }
        if not topics:
            msg = (
                "there is nothing to receive: no type in the registry has a handler; "
                "add types with mediator.event_emitter.registry.add, and bind handlers"
            )
            raise ConfigurationError(msg)
        return list(topics)

    def _is_handled(self, message_type: type) -> bool:
        if issubclass(message_type, Event):
            return bool(self._mediator.event_emitter.event_map.get(message_type))
        return message_type in self._mediator.request_map
