"""What is logged of messages, and which ids belong to it."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest
import structlog
from structlog.contextvars import (
    bind_contextvars,
    clear_contextvars,
    get_contextvars,
    unbind_contextvars,
)

from diator import (
    Command,
    DomainEvent,
    Event,
    Mediator,
    collect,
)
from diator.exceptions import EventsError
from diator.middlewares import logging as logging_module
from diator.middlewares.logging import LoggingMiddleware
from diator.middlewares.transparency import is_transparent


@dataclass(frozen=True)
class Inner(Command[Any]):
    pass


@dataclass(frozen=True)
class Outer(Command[Any]):
    """Is handled by sending another."""


@dataclass(frozen=True)
class Happened(DomainEvent):
    pass


@dataclass(frozen=True)
class Followed(DomainEvent):
    """Is raised by the handler of another."""


@dataclass(frozen=True, slots=True)
class Slotted(DomainEvent):
    """Cannot be referred to weakly."""


@dataclass(frozen=True)
class RaiseGiven(Command[Any]):
    event: DomainEvent


class WrongError(Exception):
    pass


class Ids:
    """Remembers the context variables, under the name of who saw them."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, Any]] = {}

    def see(self, name: str) -> None:
        self.seen[name] = get_contextvars()

    def __getattr__(self, name: str) -> dict[str, Any]:
        return self.seen[name]


@pytest.fixture(autouse=True)
def _nothing_bound():
    clear_contextvars()
    yield
    clear_contextvars()
    structlog.reset_defaults()


def configure(level: int) -> list[Any]:
    """Have structlog write to a list, from a level on."""
    capture = structlog.testing.LogCapture()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, capture],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return capture.entries


@pytest.fixture
def lines():
    return configure(logging.INFO)


@pytest.fixture
def ids():
    return Ids()


def logging_mediator(**options) -> Mediator:
    mediator = Mediator()
    mediator.use(LoggingMiddleware(**options))
    mediator.event_emitter.use(LoggingMiddleware(**options))
    return mediator


@pytest.fixture
def mediator():
    return logging_mediator()


def without_ids(line: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in line.items()
        if name not in {"request_id", "correlation_id", "causation_id"}
    }


class TestLine:
    async def test_request(self, mediator, lines, monkeypatch):
        """An answered request is one line, with how long that took in milliseconds."""
        monkeypatch.setattr(logging_module, "perf_counter", iter([5, 5.25]).__next__)

        @mediator.handles(Inner)
        async def handle(request: Inner) -> str:
            assert lines == []
            return "answer"

        assert await mediator.send(Inner()) == "answer"
        assert [without_ids(line) for line in lines] == [
            {
                "event": "request answered",
                "log_level": "info",
                "message_name": "Inner",
                "kind": "request",
                "outcome": "answered",
                "duration_ms": 250,
            }
        ]

    async def test_event(self, mediator, lines):
        """An event is a line as well."""
        await mediator.event_emitter.emit(Happened())

        [line] = lines
        assert (line["event"], line["kind"]) == ("event answered", "event")
        assert line["message_name"] == "Happened"

    async def test_failure(self, mediator, lines):
        """A failure is a warning that names the exception and does not quote it."""
        error = WrongError("secret")

        @mediator.handles(Inner)
        async def fail(request: Inner) -> None:
            raise error

        with pytest.raises(WrongError) as raised:
            await mediator.send(Inner())

        assert raised.value is error
        [line] = lines
        assert (line["event"], line["log_level"]) == ("request failed", "warning")
        assert (line["outcome"], line["error"]) == ("failed", "WrongError")
        assert "secret" not in str(line)
        assert "causes" not in line

    async def test_group(self, mediator, lines):
        """Of a group, the exceptions at its bottom are named."""
        nested = ExceptionGroup("nested", [KeyError(), TypeError()])
        several = ExceptionGroup("several", [WrongError(), nested])

        @mediator.handles(Inner)
        async def fail(request: Inner) -> None:
            raise several

        with pytest.raises(ExceptionGroup):
            await mediator.send(Inner())

        assert lines[0]["error"] == "ExceptionGroup"
        assert lines[0]["causes"] == ["WrongError", "KeyError", "TypeError"]

    async def test_failing_event_handlers(self, mediator, lines):
        """An event's failure names what its handlers failed of."""

        @mediator.handles(Happened)
        async def fail(event: Happened) -> None:
            raise WrongError

        with pytest.raises(EventsError):
            await mediator.event_emitter.emit(Happened())

        assert lines[0]["event"] == "event failed"
        assert lines[0]["error"] == "EventsError"
        assert lines[0]["causes"] == ["WrongError"]

    async def test_cancellation(self, mediator, lines):
        """A cancelled request is no failure, since nothing went wrong in it."""
        started = asyncio.Event()

        @mediator.handles(Inner)
        async def wait(request: Inner) -> None:
            started.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(mediator.send(Inner()))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        [line] = lines
        assert (line["event"], line["log_level"]) == ("request cancelled", "info")
        assert line["outcome"] == "cancelled"
        assert "error" not in line

    def test_transparency(self):
        """It is known to let all failures pass, so that it costs no collector."""
        assert is_transparent(LoggingMiddleware())


class TestLevel:
    @pytest.fixture
    def handling(self, mediator, ids):
        @mediator.handles(Inner)
        async def handle(request: Inner) -> None:
            ids.see("handler")

        @mediator.handles(Outer)
        async def fail(request: Outer) -> None:
            raise WrongError

        return mediator

    async def test_warning(self, handling, ids):
        """Where only failures are logged, all messages have ids all the same."""
        lines = configure(logging.WARNING)

        await handling.send(Inner())
        with pytest.raises(WrongError):
            await handling.send(Outer())

        assert [line["message_name"] for line in lines] == ["Outer"]
        assert ids.handler.keys() == {"request_id", "correlation_id"}

    async def test_error(self, handling, ids):
        """Where not even failures are logged, nothing is bound."""
        lines = configure(logging.ERROR)

        await handling.send(Inner())
        with pytest.raises(WrongError):
            await handling.send(Outer())

        assert lines == []
        assert ids.handler == {}

    async def test_configured_later(self, handling):
        """Logging may be configured after the middleware was made, and anew."""
        first = configure(logging.INFO)
        await handling.send(Inner())
        second = configure(logging.INFO)
        await handling.send(Inner())

        assert (len(first), len(second)) == (1, 1)

    async def test_standard_logging(self, handling, caplog):
        """Without structlog's configuration, the standard logger has the lines."""
        caplog.set_level(logging.INFO, logger="diator")

        await handling.send(Inner())

        [record] = caplog.records
        assert record.name == "diator"
        assert record.getMessage().startswith(
            "request answered message_name='Inner' kind='request' outcome='answered'"
        )


class TestIds:
    async def test_outermost(self, mediator, lines, ids):
        """A message of its own correlates with itself, and has no cause."""

        @mediator.handles(Inner)
        async def handle(request: Inner) -> None:
            ids.see("handler")

        await mediator.send(Inner())

        request_id = ids.handler["request_id"]
        assert ids.handler == {"request_id": request_id, "correlation_id": request_id}
        assert str(UUID(request_id)) == request_id
        assert UUID(request_id).version == 4
        assert lines[0].items() >= ids.handler.items()

    async def test_new(self, mediator, lines, ids):
        """Each message has a new id."""

        @mediator.handles(Inner)
        async def handle(request: Inner) -> None:
            pass

        request = Inner()
        await mediator.send(request)
        await mediator.send(request)

        assert lines[0]["request_id"] != lines[1]["request_id"]
        assert lines[0]["correlation_id"] != lines[1]["correlation_id"]

    async def test_nested(self, mediator, lines, ids):
        """A nested message belongs to the one around it, which caused it."""

        @mediator.handles(Outer)
        async def outer(request: Outer) -> None:
            ids.see("before")
            await mediator.send(Inner())
            ids.see("after")

        @mediator.handles(Inner)
        async def inner(request: Inner) -> None:
            ids.see("inner")

        await mediator.send(Outer())

        assert [line["message_name"] for line in lines] == ["Inner", "Outer"]
        assert ids.inner["request_id"] != ids.before["request_id"]
        assert ids.inner["correlation_id"] == ids.before["correlation_id"]
        assert ids.inner["causation_id"] == ids.before["request_id"]
        assert ids.after == ids.before
        assert "causation_id" not in lines[1]

    async def test_bound_correlation(self, mediator, lines):
        """A correlation that is bound already is kept."""
        bind_contextvars(correlation_id="of HTTP")
        mediator.handles(Inner)(answer)

        await mediator.send(Inner())

        assert lines[0]["correlation_id"] == "of HTTP"
        assert "causation_id" not in lines[0]

    async def test_bound_request(self, mediator, lines):
        """An HTTP request whose id is bound is the cause, and what things belong to."""
        bind_contextvars(request_id="of HTTP")
        mediator.handles(Inner)(answer)

        await mediator.send(Inner())

        assert lines[0]["request_id"] != "of HTTP"
        assert lines[0]["causation_id"] == "of HTTP"
        assert lines[0]["correlation_id"] == "of HTTP"

    async def test_unbound(self, mediator, lines):
        """What was bound once and is no more does not count."""
        bind_contextvars(request_id="old", correlation_id="old")
        unbind_contextvars("request_id", "correlation_id")
        mediator.handles(Inner)(answer)

        await mediator.send(Inner())

        assert lines[0]["correlation_id"] == lines[0]["request_id"] != "old"
        assert "causation_id" not in lines[0]

    @pytest.mark.parametrize("failure", [None, WrongError, asyncio.CancelledError])
    @pytest.mark.parametrize(
        "bound",
        [
            {},
            {"user": "7"},
            {"request_id": "a", "correlation_id": "b", "causation_id": "c"},
        ],
    )
    async def test_restored(self, mediator, lines, bound, failure):
        """Whatever becomes of a message, what was bound before is so afterwards."""

        @mediator.handles(Inner)
        async def handle(request: Inner) -> None:
            bind_contextvars(request_id="changed", causation_id="changed")
            unbind_contextvars("correlation_id")
            bind_contextvars(correlation_id="changed")
            if failure is not None:
                raise failure

        bind_contextvars(**bound)
        with suppress(WrongError, asyncio.CancelledError):
            await mediator.send(Inner())

        assert {
            name: value
            for name, value in get_contextvars().items()
            if name in bound or value != "changed"
        } == bound

    async def test_concurrent(self, mediator, lines):
        """Concurrent messages do not get each other's ids."""
        count = 100
        seen: list[str] = []

        @mediator.handles(Inner)
        async def handle(request: Inner) -> None:
            before = get_contextvars()
            await asyncio.sleep(0)
            assert get_contextvars() == before
            seen.append(before["request_id"])

        await asyncio.gather(*[mediator.send(Inner()) for _ in range(count)])

        assert len(set(seen)) == count
        assert {line["correlation_id"] for line in lines} == set(seen)


async def answer(request: object) -> None:
    pass


class TestIdsOfEvents:
    @pytest.fixture
    def raising(self, mediator, ids):
        """The outer request raises one event itself, and one by way of another."""

        @mediator.handles(Outer)
        async def outer(request: Outer) -> None:
            ids.see("outer")
            collect(Happened())
            await mediator.send(Inner())

        @mediator.handles(Inner)
        async def inner(request: Inner) -> None:
            ids.see("inner")
            collect(Slotted())
            collect(Followed())

        for event_type in (Happened, Followed, Slotted):

            @mediator.handles(event_type)
            async def hear(event: Event) -> None:
                ids.see(type(event).__name__.lower())

        return mediator

    async def test_cause(self, raising, lines, ids):
        """An event belongs to the message that raised it, although that is over."""
        await raising.send(Outer())

        assert ids.happened["correlation_id"] == ids.outer["correlation_id"]
        assert ids.happened["causation_id"] == ids.outer["request_id"]
        assert ids.happened["request_id"] not in {
            ids.outer["request_id"],
            ids.inner["request_id"],
        }

    async def test_cause_in_nested_send(self, raising, lines, ids):
        """The cause of an event is the innermost message that raised it."""
        await raising.send(Outer())

        assert ids.followed["correlation_id"] == ids.outer["correlation_id"]
        assert ids.followed["causation_id"] == ids.inner["request_id"]

    async def test_cascade(self, mediator, lines, ids):
        """An event raised by the handler of an event is caused by this one."""

        @mediator.handles(Inner)
        async def handle(request: Inner) -> None:
            ids.see("handler")
            collect(Happened())

        @mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            ids.see("happened")
            collect(Followed())

        @mediator.handles(Followed)
        async def follow(event: Followed) -> None:
            ids.see("followed")

        await mediator.send(Inner())

        assert ids.followed["correlation_id"] == ids.handler["correlation_id"]
        assert ids.followed["causation_id"] == ids.happened["request_id"]

    async def test_bound_around(self, raising, lines, ids):
        """An event belongs to what is bound around the send, too."""
        bind_contextvars(request_id="of HTTP", correlation_id="of all")

        await raising.send(Outer())

        assert ids.happened["correlation_id"] == "of all"
        assert ids.happened["causation_id"] == ids.outer["request_id"]

    async def test_no_weak_reference(self, raising, lines, ids):
        """An event that cannot be known again has the ids around the send."""
        bind_contextvars(request_id="of HTTP", correlation_id="of all")

        await raising.send(Outer())

        assert ids.slotted["correlation_id"] == "of all"
        assert ids.slotted["causation_id"] == "of HTTP"

    async def test_shared_event(self, mediator, lines, ids):
        """An event that is raised again belongs to what raised it last."""
        event = Happened()

        @mediator.handles(Inner)
        async def handle(request: Inner) -> None:
            ids.see("handler")
            collect(event)

        @mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            ids.see("happened")

        await mediator.send(Inner())
        await mediator.send(Inner())

        assert ids.happened["causation_id"] == ids.handler["request_id"]
        assert ids.happened["correlation_id"] == ids.handler["correlation_id"]

    async def test_emitted_elsewhere(self, mediator, lines, ids):
        """An event belongs to what is bound where it is emitted, whatever raised it."""
        event = Happened()

        @mediator.handles(RaiseGiven)
        async def handle(request: RaiseGiven) -> None:
            ids.see("handler")
            collect(request.event)

        @mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            ids.see("happened")

        await mediator.send(RaiseGiven(event))
        bind_contextvars(correlation_id="of all")
        await mediator.event_emitter.emit(event)

        assert ids.happened["correlation_id"] == "of all"
        assert ids.happened["causation_id"] == ids.handler["request_id"]

    async def test_nothing_kept(self, raising, lines):
        """What is known of an event goes with it."""
        event = Happened()
        key = id(event)

        @raising.handles(RaiseGiven)
        async def handle(request: RaiseGiven) -> None:
            collect(request.event)

        # Other tests may have kept some of theirs.
        gc.collect()
        before = set(logging_module._origins)
        await raising.send(Outer())
        await raising.send(RaiseGiven(event))
        assert logging_module._origins.keys() - before == {key}

        del event
        gc.collect()
        assert logging_module._origins.keys() <= before


SECRET = "correct horse"


@dataclass
class Address:
    street: str
    door_code: str = field(default=SECRET, repr=False)


@dataclass(frozen=True)
class SignUp(Command[Any]):
    name: str = "Ada"
    password: str = field(default=SECRET, repr=False)
    addresses: list[Address] = field(default_factory=lambda: [Address("Mill Lane")])


@attrs.frozen
class AttrsSignUp(Command[Any]):
    name: str = "Ada"
    password: str = attrs.field(default=SECRET, repr=False)
    card: str = attrs.field(default=f"{SECRET} 99", repr=lambda card: card[-2:])


class StructSignUp(msgspec.Struct, Command[Any]):
    name: str = "Ada"
    address: Address = msgspec.field(default_factory=lambda: Address("Mill Lane"))


class PydanticSignUp(pydantic.BaseModel, Command[Any]):
    name: str = "Ada"
    password: str = pydantic.Field(default=SECRET, repr=False)
    pin: pydantic.SecretStr = pydantic.SecretStr(SECRET)


@pydantic.dataclasses.dataclass
class PydanticDataclassSignUp(Command[Any]):
    name: str = "Ada"
    password: str = pydantic.Field(default=SECRET, repr=False)


class PlainSignUp(Command[Any]):
    def __repr__(self) -> str:
        return "PlainSignUp()"


class TestPayload:
    async def payload(self, lines, request) -> Any:
        mediator = logging_mediator(payload=True)
        mediator.handles(type(request))(answer)
        await mediator.send(request)
        [line] = lines
        return line["payload"]

    async def test_default(self, mediator, lines):
        """No field of a message is logged unless asked for."""
        mediator.handles(SignUp)(answer)

        await mediator.send(SignUp())

        assert "payload" not in lines[0]
        assert "Ada" not in str(lines[0])

    @pytest.mark.parametrize(
        "request_, payload",
        [
            (
                SignUp(),
                {
                    "name": "Ada",
                    "password": "[redacted]",
                    "addresses": [{"street": "Mill Lane", "door_code": "[redacted]"}],
                },
            ),
            (AttrsSignUp(), {"name": "Ada", "password": "[redacted]", "card": "99"}),
            (
                StructSignUp(),
                {
                    "name": "Ada",
                    "address": {"street": "Mill Lane", "door_code": "[redacted]"},
                },
            ),
            (
                PydanticSignUp(),
                {
                    "name": "Ada",
                    "password": "[redacted]",
                    "pin": pydantic.SecretStr(SECRET),
                },
            ),
            (
                PydanticDataclassSignUp(),
                {"name": "Ada", "password": "[redacted]"},
            ),
        ],
        ids=lambda value: type(value).__name__,
    )
    async def test_fields(self, lines, request_, payload):
        """Fields are logged when asked for, and those without a repr redacted."""
        assert await self.payload(lines, request_) == payload
        assert SECRET not in str(lines)

    async def test_containers(self, lines):
        """What is in containers is redacted as well, and the line fits in JSON."""

        @dataclass(frozen=True)
        class Import(Command[Any]):
            by_id: dict[UUID, Address]
            pair: tuple[Address, int]
            group: frozenset[str]

        number = UUID(int=7)
        address = Address("Mill Lane")
        shown = {"street": "Mill Lane", "door_code": "[redacted]"}

        payload = await self.payload(
            lines, Import({number: address}, (address, 1), frozenset({"a"}))
        )

        assert payload == {
            "by_id": {str(number): shown},
            "pair": [shown, 1],
            "group": ["a"],
        }
        assert json.loads(json.dumps(payload)) == payload

    async def test_cycle(self, lines):
        """What contains itself is shown once."""

        @dataclass
        class Tree(Command[Any]):
            parent: Any = None

        tree = Tree()
        tree.parent = {"tree": tree}

        assert await self.payload(lines, tree) == {"parent": {"tree": "..."}}

    async def test_twice(self, lines):
        """What occurs twice, but not in itself, is shown twice."""
        address = Address("Mill Lane")

        payload = await self.payload(lines, SignUp(addresses=[address, address]))

        assert payload["addresses"][0] == payload["addresses"][1] != "..."

    async def test_missing_field(self, lines):
        """A field that was not set is left out."""

        @dataclass(slots=True)
        class Late(Command[Any]):
            name: str
            result: str = field(init=False)

        assert await self.payload(lines, Late("Ada")) == {"name": "Ada"}

    async def test_no_fields(self, lines):
        """A message of a class that declares no fields is shown by its repr."""
        request = PlainSignUp()

        assert await self.payload(lines, request) is request

    async def test_failure(self, lines):
        """The payload of a message that failed is logged, too."""
        mediator = logging_mediator(payload=True)

        @mediator.handles(SignUp)
        async def fail(request: SignUp) -> None:
            raise WrongError

        with pytest.raises(WrongError):
            await mediator.send(SignUp())

        assert lines[0]["payload"]["name"] == "Ada"
