"""
One trace through two processes: `python -m examples.tracing --redis URL`.

This process sends a command, whose event goes through Redis Streams to another process,
which it starts itself. Then it prints the spans of both as one tree.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from diator import Command, Mediator, NotificationEvent, collect
from diator.consumer.consumer import Consumer
from diator.events.message_brokers.redis_streams import RedisStreamsBroker
from diator.events.message_brokers.tracing import TracedBroker
from diator.middlewares.opentelemetry import OpenTelemetryMiddleware

SECONDS = 30
TOPIC = "tracing"


@dataclass(frozen=True)
class JoinMeeting(Command):
    user_id: int


@dataclass(frozen=True)
class WelcomeUser(Command):
    user_id: int


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    user_id: int


def configure() -> InMemorySpanExporter:
    """Configure OpenTelemetry as an application does, with spans kept in memory."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def make_mediator(broker: RedisStreamsBroker) -> Mediator:
    mediator = Mediator(message_broker=TracedBroker(broker, system="redis"))
    mediator.use(OpenTelemetryMiddleware())
    mediator.event_emitter.use(OpenTelemetryMiddleware(system="redis"))
    mediator.event_emitter.registry.add(UserJoined, name="user.joined.v1", topic=TOPIC)
    return mediator


async def send(url: str) -> None:
    """Send the command, in the process that people talk to."""
    broker = RedisStreamsBroker(url)
    mediator = make_mediator(broker)

    @mediator.handles(JoinMeeting)
    async def join(command: JoinMeeting) -> None:
        collect(UserJoined(user_id=command.user_id))

    with trace.get_tracer("web").start_as_current_span("POST /meetings/1/users"):
        await mediator.send(JoinMeeting(7))
    await broker.aclose()


async def receive(url: str) -> None:
    """Handle the event, in the other process."""
    broker = RedisStreamsBroker(url)
    mediator = make_mediator(broker)
    welcomed = asyncio.Event()

    @mediator.handles(UserJoined)
    async def greet(event: UserJoined) -> None:
        await mediator.send(WelcomeUser(event.user_id))

    @mediator.handles(WelcomeUser)
    async def welcome(command: WelcomeUser) -> None:
        print(f"welcome, user {command.user_id}", file=sys.stderr)
        welcomed.set()

    # A consumer that leaves has acknowledged what was handled.
    async with asyncio.timeout(SECONDS), Consumer(mediator, broker, group="greeters"):
        await welcomed.wait()
    await broker.aclose()


def as_row(process: str, span: ReadableSpan) -> dict[str, Any]:
    return {
        "process": process,
        "name": span.name,
        "kind": span.kind.name.lower(),
        "trace": span.context.trace_id,
        "id": span.context.span_id,
        "parent": span.parent and span.parent.span_id,
        "started": span.start_time,
    }


def show(rows: list[dict[str, Any]], parent: int | None = None, depth: int = 0) -> None:
    """Print spans as a tree, those of one parent in the order of their beginnings."""
    for row in sorted(rows, key=lambda row: row["started"]):
        if row["parent"] == parent:
            name = f"{'  ' * depth}{row['name']}"
            print(f"{row['process']:8}  {name}  ({row['kind']})")
            show(rows, row["id"], depth + 1)


async def run(url: str) -> None:
    exporter = configure()
    await send(url)
    other = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.tracing", "--redis", url, "--receive"),
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await other.communicate()
    spans = exporter.get_finished_spans()
    rows = [as_row("sender", span) for span in spans] + json.loads(printed)
    print(f"{len({row['trace'] for row in rows})} trace in 2 processes")
    show(rows)


async def run_receiver(url: str) -> None:
    exporter = configure()
    await receive(url)
    spans = exporter.get_finished_spans()
    print(json.dumps([as_row("receiver", span) for span in spans]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis", default="redis://localhost:6379/0", metavar="URL")
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    asyncio.run((run_receiver if arguments.receive else run)(arguments.redis))
