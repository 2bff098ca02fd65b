"""Spans and durations of messages, in both pipelines and through brokers."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from dataclasses import dataclass

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from diator import (
    Command,
    DomainEvent,
    Event,
    Mediator,
    NotificationEvent,
    StreamRequest,
    collect,
)
from diator.consumer.consumer import Consumer
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.events.message_brokers.tracing import TracedBroker
from diator.messages import trace_context
from diator.messages.headers import sending_headers
from diator.messages.trace_context import origin_of
from diator.middlewares.opentelemetry import OpenTelemetryMiddleware
from diator.middlewares.outbox import OutboxMiddleware
from diator.middlewares.transaction import TransactionMiddleware
from diator.outbox.outbox import Outbox
from diator.outbox.relay import Relay


@dataclass(frozen=True)
class Join(Command):
    fails_with: BaseException | None = None


@dataclass(frozen=True)
class Seat(DomainEvent):
    number: int = 1


@dataclass(frozen=True, kw_only=True)
class Joined(NotificationEvent):
    user_id: int = 7


@dataclass(frozen=True)
class Welcome(Command):
    user_id: int


@dataclass(frozen=True)
class Count(StreamRequest[int]):
    pass


class Spans:
    """The spans that have ended, by their names."""

    def __init__(self):
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def names(self):
        return [span.name for span in self.exporter.get_finished_spans()]

    def all(self, name):
        return [
            each for each in self.exporter.get_finished_spans() if each.name == name
        ]

    def __getitem__(self, name):
        [span] = self.all(name)
        return span

    def parent(self, name):
        """Give the name of the span that one is a child of."""
        parent = self[name].parent
        if parent is None:
            return None
        [name] = [
            each.name
            for each in self.exporter.get_finished_spans()
            if each.context.span_id == parent.span_id
        ]
        return name

    def trace_ids(self):
        return {each.context.trace_id for each in self.exporter.get_finished_spans()}


@pytest.fixture
def spans():
    return Spans()


@pytest.fixture
def reader():
    return InMemoryMetricReader()


@pytest.fixture
def middleware(spans, reader):
    return OpenTelemetryMiddleware(
        system="memory",
        tracer_provider=spans.provider,
        meter_provider=MeterProvider(metric_readers=[reader]),
    )


@pytest.fixture
def broker():
    return InMemoryMessageBroker()


@pytest.fixture
def mediator(middleware, spans, broker):
    traced = TracedBroker(broker, system="memory", tracer_provider=spans.provider)
    mediator = Mediator(message_broker=traced)
    mediator.use(middleware)
    mediator.event_emitter.use(middleware)
    mediator.event_emitter.registry.add(Joined, name="user.joined.v1")
    mediator.event_emitter.registry.add(Welcome)

    @mediator.handles(Join)
    async def join(command: Join) -> None:
        collect(Seat())
        collect(Joined())
        if command.fails_with is not None:
            raise command.fails_with

    @mediator.handles(Welcome)
    async def welcome(command: Welcome) -> None: ...

    @mediator.handles(Seat)
    async def take(event: Seat) -> None: ...

    return mediator


def measured(reader):
    data = reader.get_metrics_data()
    [metric] = data.resource_metrics[0].scope_metrics[0].metrics
    assert (metric.name, metric.unit) == ("diator.message.duration", "s")
    return [dict(point.attributes) for point in metric.data.data_points]


class TestRequests:
    async def test_answered(self, mediator, spans, reader):
        """A request has a span, and its duration is measured."""
        await mediator.send(Welcome(1))

        span = spans["send Welcome"]
        assert span.kind is SpanKind.INTERNAL
        assert span.status.status_code is StatusCode.UNSET
        expected = {
            "diator.message.name": "Welcome",
            "diator.message.kind": "request",
            "diator.outcome": "answered",
        }
        assert dict(span.attributes) == expected
        assert measured(reader) == [expected]

    async def test_failed(self, mediator, spans, reader):
        """A failure is told with its type, and passes as it is."""
        error = ValueError("no")

        with pytest.raises(ValueError, match="no") as raised:
            await mediator.send(Join(error))

        assert raised.value is error
        span = spans["send Join"]
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == "ValueError"
        assert [event.name for event in span.events] == ["exception"]
        assert measured(reader)[0]["error.type"] == "ValueError"
        assert spans.names() == ["send Join"]

    async def test_cancelled(self, mediator, spans, reader):
        """To be cancelled is no failure."""
        with pytest.raises(asyncio.CancelledError):
            await mediator.send(Join(asyncio.CancelledError()))

        assert spans["send Join"].status.status_code is StatusCode.UNSET
        assert spans["send Join"].attributes["diator.outcome"] == "cancelled"
        assert measured(reader)[0]["diator.outcome"] == "cancelled"

    async def test_nested(self, mediator, spans):
        """A send inside a handler is a child, as is all that is traced there."""

        @dataclass(frozen=True)
        class Outer(Command): ...

        tracer = trace.get_tracer("test", tracer_provider=spans.provider)

        @mediator.handles(Outer)
        async def outer(command: Outer) -> None:
            with tracer.start_as_current_span("query"):
                await mediator.send(Welcome(1))

        with tracer.start_as_current_span("GET"):
            await mediator.send(Outer())

        assert spans.parent("send Welcome") == "query"
        assert spans.parent("query") == "send Outer"
        assert spans.parent("send Outer") == "GET"

    async def test_stream(self, mediator, spans):
        """The span of a stream is around all of it."""

        @mediator.handles(Count)
        async def count(request: Count):
            for number in range(2):
                yield number

        stream = mediator.stream(Count())
        assert [spans.names() async for _ in stream] == [[], []]
        assert spans.names() == ["send Count"]


class TestEvents:
    async def test_children_of_what_raised_them(self, mediator, spans):
        """An event that is handled after the commit is a child of its request."""
        tracer = trace.get_tracer("test", tracer_provider=spans.provider)
        with tracer.start_as_current_span("GET"):
            await mediator.send(Join())

        assert spans.parent("handle Seat") == "send Join"
        assert spans.parent("handle Joined") == "send Join"
        assert spans["handle Seat"].attributes["diator.message.kind"] == "event"

    async def test_of_nested_sends(self, mediator, spans):
        """An event is a child of the innermost send that raised it."""

        @dataclass(frozen=True)
        class Outer(Command): ...

        @mediator.handles(Outer)
        async def outer(command: Outer) -> None:
            await mediator.send(Join())

        await mediator.send(Outer())

        assert spans.parent("handle Seat") == "send Join"

    async def test_forgotten(self, mediator):
        """What an event was raised by is forgotten with it."""
        raised = []

        @mediator.handles(Event)
        async def look(event: Event) -> None:
            raised.append(origin_of(event))

        await mediator.send(Join())
        gc.collect()

        assert None not in raised
        # The broker in memory has the other one still.
        assert Seat not in {type(kept()) for _, kept in trace_context._origins.values()}

    async def test_raised_again(self, mediator, spans):
        """An event that is raised once more belongs to who has raised it then."""
        seat = Seat()

        @dataclass(frozen=True)
        class Again(Command): ...

        @mediator.handles(Again)
        async def again(command: Again) -> None:
            collect(seat)

        await mediator.send(Again())
        spans.exporter.clear()
        await mediator.send(Again())

        assert spans.parent("handle Seat") == "send Again"

    async def test_without_weak_references(self, mediator, spans):
        """An event that cannot be known again belongs to who has sent."""

        @dataclass(frozen=True, slots=True)
        class Slotted(DomainEvent): ...

        @mediator.handles(Slotted)
        async def handle(event: Slotted) -> None: ...

        @dataclass(frozen=True)
        class Raise(Command): ...

        @mediator.handles(Raise)
        async def raise_it(command: Raise) -> None:
            collect(Slotted())

        await mediator.send(Raise())

        assert spans.parent("handle Slotted") is None


class TestBrokers:
    async def test_publishing(self, mediator, spans, broker):
        """What is published tells others of the span that raised it."""
        await mediator.send(Join())

        span = spans["publish events"]
        assert span.kind is SpanKind.PRODUCER
        assert spans.parent("publish events") == "send Join"
        assert dict(span.attributes) == {
            "messaging.system": "memory",
            "messaging.operation.type": "send",
            "messaging.operation.name": "publish",
            "messaging.batch.message_count": 1,
        }
        [message] = broker.messages
        assert message.headers["traceparent"] == traceparent(spans["send Join"])

    async def test_posted(self, mediator, broker, spans):
        """So does a command that was posted."""
        await mediator.post(Welcome(1))

        [message] = broker.messages
        assert message.headers["traceparent"] == traceparent(spans["send PostCommand"])

    async def test_several_origins(self, mediator, spans, broker):
        """What several spans have raised is published with links to all of them."""

        @dataclass(frozen=True)
        class Twice(Command): ...

        @mediator.handles(Twice)
        async def twice(command: Twice) -> None:
            for _ in range(2):
                await mediator.send(Join())

        await mediator.send(Twice())

        span = spans["publish events"]
        assert span.parent is None
        assert len(span.links) == 2
        assert len({each.headers["traceparent"] for each in broker.messages}) == 2

    async def test_untraced(self, mediator, spans, broker):
        """What nothing has raised tells of its own publishing."""
        mediator.event_emitter.middleware_chain.set([])
        await mediator.event_emitter.emit(Joined())

        [message] = broker.messages
        assert message.headers["traceparent"] == traceparent(spans["publish events"])

    async def test_several_topics(self, spans, broker, mediator):
        """A batch for several topics is told without one."""
        mediator.event_emitter.middleware_chain.set([])
        registry = mediator.event_emitter.registry

        @dataclass(frozen=True, kw_only=True)
        class Elsewhere(NotificationEvent): ...

        registry.add(Elsewhere, topic="elsewhere")
        messages = [registry.message(each(), {}) for each in (Joined, Elsewhere)]
        await mediator.event_emitter.message_broker.publish(messages)

        assert spans.names() == ["publish"]

    async def test_not_taken(self, spans):
        """What the broker did not take is told, and stays its outcome."""

        class Refusing:
            async def publish(self, messages):
                return [ConnectionError("no route")] * len(messages)

        traced = TracedBroker(
            Refusing(), system="memory", tracer_provider=spans.provider
        )
        registry = Mediator().event_emitter.registry
        [outcome] = await traced.publish([registry.message(Joined(), {})])

        assert isinstance(outcome, ConnectionError)
        assert spans["publish events"].attributes["error.type"] == "ConnectionError"
        assert spans["publish events"].status.status_code is StatusCode.ERROR

    async def test_one_trace(self, mediator, spans, broker, middleware):
        """What another program handles belongs to the same trace."""
        receiver = Mediator()
        receiver.event_emitter.use(middleware)
        receiver.event_emitter.registry.add(Joined, name="user.joined.v1")
        handled = asyncio.Event()

        @receiver.handles(Joined)
        async def handle(event: Joined) -> None:
            handled.set()

        async with Consumer(receiver, broker, group="mails"):
            await mediator.send(Join())
            async with asyncio.timeout(30):
                await handled.wait()

        span = spans["process Joined"]
        assert span.kind is SpanKind.CONSUMER
        assert spans.parent("process Joined") == "send Join"
        [link] = span.links
        assert link.context.span_id == spans["send Join"].context.span_id
        assert len(spans.trace_ids()) == 1
        assert span.attributes["messaging.consumer.group.name"] == "mails"
        assert span.attributes["diator.attempt"] == 1
        assert span.attributes["messaging.message.id"]
        assert span.attributes["messaging.system"] == "memory"

    async def test_received_without_a_trace(self, spans, broker):
        """A message that tells of no span begins a trace, with what is known."""
        receiver = Mediator()
        receiver.event_emitter.use(
            OpenTelemetryMiddleware(tracer_provider=spans.provider)
        )
        receiver.event_emitter.registry.add(Joined, name="user.joined.v1")
        handled = asyncio.Event()

        @receiver.handles(Joined)
        async def handle(event: Joined) -> None:
            handled.set()

        async with Consumer(receiver, broker, group="mails"):
            message = receiver.event_emitter.registry.message(Joined(), {})
            await broker.publish([message])
            async with asyncio.timeout(30):
                await handled.wait()

        assert spans["process Joined"].parent is None
        assert spans["process Joined"].links == ()
        assert "messaging.system" not in spans["process Joined"].attributes

    async def test_state_of_the_trace(self, mediator, broker, spans):
        """What tracing systems tell each other goes along, too."""
        mediator.event_emitter.middleware_chain.set([])
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        with sending_headers({"traceparent": parent, "tracestate": "a=b"}):
            await mediator.event_emitter.emit(Joined())

        [message] = broker.messages
        assert message.headers == {"traceparent": parent, "tracestate": "a=b"}
        assert (
            spans["publish events"].context.trace_id
            == 0x0AF7651916CD43DD8448EB211C80319C
        )


class Programs:
    """
    A program with an outbox, its relay, and another program that consumes.

    Args:
        engine: Has the tables of the outbox.
        middleware: Traces both programs.
        broker: What is between them.
        provider: Traces the relay.

    """

    def __init__(self, engine, middleware, broker, provider):
        self.sender = Mediator()
        self.sender.container.scoped(AsyncSession, async_sessionmaker(engine))
        registry = self.sender.event_emitter.registry
        registry.add(Joined, name="user.joined.v1")
        outbox = Outbox(engine, registry)
        self.sender.use(middleware)
        self.sender.use(TransactionMiddleware(begin))
        self.sender.use(OutboxMiddleware(outbox))
        self.sender.event_emitter.use(middleware)
        self.sender.handles(Join)(self.join)
        traced = TracedBroker(broker, system="memory", tracer_provider=provider)
        self.relay = Relay(outbox, traced)
        receiver = Mediator()
        receiver.event_emitter.use(middleware)
        receiver.event_emitter.registry.add(Joined, name="user.joined.v1")
        receiver.handles(Joined)(self.handle)
        self.consumer = Consumer(receiver, broker, group="mails")
        self.handled = asyncio.Semaphore(0)

    async def join(self, command: Join) -> None:
        collect(Joined())

    async def handle(self, event: Joined) -> None:
        self.handled.release()

    async def deliver(self, count):
        """Have events delivered that wait in the outbox."""
        async with asyncio.timeout(30), self.consumer, self.relay:
            for _ in range(count):
                await self.handled.acquire()


def begin(session: AsyncSession):
    return session.begin()


class TestOutbox:
    @pytest.fixture
    def programs(self, engine, middleware, broker, spans):
        return Programs(engine, middleware, broker, spans.provider)

    async def test_one_trace(self, programs, spans):
        """A request, its event in the outbox, relay and consumer are one trace."""
        tracer = trace.get_tracer("test", tracer_provider=spans.provider)
        with tracer.start_as_current_span("POST"):
            await programs.sender.send(Join())
        assert spans.names() == ["send Join", "POST"]
        await programs.deliver(1)

        assert spans.parent("send Join") == "POST"
        assert spans.parent("publish events") == "send Join"
        assert spans.parent("process Joined") == "send Join"
        for name in ("publish events", "process Joined"):
            [link] = spans[name].links
            assert link.context.span_id == spans["send Join"].context.span_id
        assert len(spans.trace_ids()) == 1

    async def test_several_traces(self, programs, spans):
        """What is relayed in one batch goes on in the trace that each came from."""
        for _ in range(2):
            await programs.sender.send(Join())
        await programs.deliver(2)

        publishing = spans["publish events"]
        sending, processing = (
            {each.context.trace_id: each for each in spans.all(name)}
            for name in ("send Join", "process Joined")
        )
        assert len(sending) == 2
        assert publishing.parent is None
        assert {link.context.span_id for link in publishing.links} == {
            each.context.span_id for each in sending.values()
        }
        assert processing.keys() == sending.keys()
        for trace_id, span in processing.items():
            assert span.parent.span_id == sending[trace_id].context.span_id
            [link] = span.links
            assert link.context.span_id == sending[trace_id].context.span_id


class TestIsIdle:
    def test_nothing_configured(self):
        """Where an application does not use OpenTelemetry, there is nothing to do."""
        assert OpenTelemetryMiddleware().is_idle()

    def test_own_providers(self, middleware):
        """Providers of its own are used, whatever the global ones are."""
        assert not middleware.is_idle()

    @pytest.mark.parametrize("name", ["tracer", "meter"])
    def test_configured_later(self, name):
        """One of both is enough, set when there was nothing yet, and stays."""
        # A process can set them once.
        run = subprocess.run(
            [sys.executable, "-c", CONFIGURED_LATER, name],
            capture_output=True,
            text=True,
            check=False,
        )

        assert (run.stdout, run.stderr) == ("True True False False\n", "")

    @pytest.mark.parametrize(
        "name", ["trace.get_tracer_provider", "metrics.get_meter_provider"]
    )
    @pytest.mark.parametrize("is_set", [False, True])
    def test_other_versions(self, name, is_set, monkeypatch, spans):
        """Where the API keeps its providers in another way it is asked for them."""
        provider = spans.provider if is_set else trace.NoOpTracerProvider()
        monkeypatch.setattr(f"opentelemetry.{name}", lambda: provider)

        assert OpenTelemetryMiddleware().is_idle() is not is_set


CONFIGURED_LATER = """\
import sys

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from diator.middlewares.opentelemetry import OpenTelemetryMiddleware

middleware = OpenTelemetryMiddleware()
told = [middleware.is_idle(), middleware.is_idle()]
if sys.argv[1] == "tracer":
    trace.set_tracer_provider(TracerProvider())
else:
    metrics.set_meter_provider(MeterProvider())
print(*told, middleware.is_idle(), middleware.is_idle())
"""


def traceparent(span):
    context = span.context
    return (
        f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    )
