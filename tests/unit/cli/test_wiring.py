"""The commands that show how a mediator is wired."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from diator import (
    Command,
    DomainEvent,
    EventEmitter,
    Mediator,
    NotificationEvent,
    collect,
)
from diator.cli.main import app
from diator.cli.mermaid import flowchart
from diator.cli.showing import overview, show
from diator.consumer.consumer import Consumer
from diator.description.describing import describe
from diator.events.message_brokers.memory import InMemoryMessageBroker
from tests.unit.consumer.fake_broker import FakeBroker
from tests.unit.description import shop

HERE = __name__
SHOP = f"{HERE}:make_shop"

make_shop = shop.make_mediator
nothing = Mediator()


class Lonely(Command):
    pass


class Left(NotificationEvent):
    pass


class Heard(DomainEvent):
    pass


async def leave(command: Lonely) -> None: ...


async def hear(event: Heard, number: int) -> None: ...


def make_broken():
    mediator = Mediator(event_emitter=EventEmitter())
    mediator.handles(Lonely)(leave)
    mediator.handles(Heard)(hear)
    mediator.event_emitter.registry.add(Left)
    return mediator


@asynccontextmanager
async def open_unreachable():
    msg = "no route"
    raise ConnectionError(msg)
    yield


def make_large():
    """Make one with more edges than Mermaid draws."""
    mediator = Mediator()
    for number in range(501):

        async def handle(event: Heard, _number: int = number) -> None: ...

        handle.__qualname__ = f"handle_{number}"
        mediator.handles(Heard)(handle)
    return mediator


def invoke(*arguments):
    return CliRunner().invoke(app, [*arguments])


class TestDescribe:
    def test_text(self):
        """All messages are shown with what handles them, and what comes of it."""
        output = invoke("describe", SHOP).output

        for line in (
            "4 requests, 5 events",
            "message broker: FakeBroker",
            "Requests of tests.unit.description.shop",
            "PlaceOrder → int  command  tests/unit/description/shop.py:",
            "Order something.",
            "through Timing, audit",
            "handled by PlaceOrderHandler  tests/unit/description/shop.py:",
            "needs stock: Stock  registered as ShelfStock",
            "needs till: Till  built from its class",
            "needs prices: Prices  built from its class",
            "raises OrderPlaced  line ",
            "raises StockTaken  a guess, by ShelfStock.take, tests/unit/",
            "posts SendInvoice  line ",
            "handled by count  concurrent, bound to DomainEvent  tests/",
            "leaves by FakeBroker, as stock.changed.v1 on the topic stock, in order by",
            "no handler is seen to raise it",
            "leaves by FakeBroker, as OrderShipped on the topic events",
            "no handler here",
            "no handler here: it is handled elsewhere",
        ):
            assert line in output, line

    def test_not_folded(self):
        """Where no terminal reads it, no name is folded, and there is no colour."""
        output = invoke("describe", SHOP).output

        assert "only=is_audited" in output
        assert "\x1b" not in output
        assert not [line for line in output.splitlines() if line.endswith(" ")]

    def test_terminal(self):
        """In a terminal lines are folded, and nothing is left out."""
        file = StringIO()
        console = Console(file=file, force_terminal=True, no_color=True, width=40)

        show(console, overview(describe(make_shop())))

        text = re.sub(r"\x1b\[\d*m|[\s│├─└]+", "", file.getvalue())
        assert "ShelfStock.take,tests/unit/description/shop.py" in text

    def test_wiring_errors(self):
        """That something is wrong is said at the top, and where it is."""
        output = invoke("describe", f"{HERE}:make_broken").output

        assert "wiring errors: 1, see `diator check`" in output
        heard = output[output.index("Heard") :]
        assert "wiring error 1, see `diator check`" in heard
        assert "missing: nothing says how to build int" in output
        assert "cannot leave: there is no message broker" in output

    def test_unknown(self):
        """What no source tells is told as unknown."""
        output = invoke("describe", f"{HERE}:make_typed").output

        assert "Typed → None  command  typed, without source" in output
        assert "unknown: the source of handle cannot be read" in output

    def test_nothing(self):
        """A mediator without anything has nothing to show."""
        output = invoke("describe", f"{HERE}:nothing").output

        assert output.splitlines() == [
            "0 requests, 0 events",
            "container: LagomContainer",
            "message broker: InMemoryMessageBroker, in this process",
        ]

    def test_json(self):
        """All that is known can be read by programs."""
        shown = json.loads(invoke("describe", SHOP, "--json").output)

        assert shown["requests"][0]["name"] == "PlaceOrder"

    def test_example_with_outbox(self):
        """What an outbox takes is said to leave by it."""
        output = invoke("describe", "examples.distributed.app:mediator").output

        assert "leaves by the outbox, by a relay, as order.placed.v1 on" in output
        assert "TransactionMiddleware  [transaction]  only=Command" in output
        assert "InboxMiddleware  [inbox]" in output


class TestExplain:
    def test_request(self):
        """Each middleware is told with why it applies or not, in order."""
        lines = invoke("explain", SHOP, "PlaceOrder").output.splitlines()

        assert lines[0] == ("PlaceOrder(item: str, quantity: int | None = ...) → int")
        assert lines[2] == "Order something."
        assert lines[4:8] == [
            "What runs, from the outside in",
            "├── 1. Timing  it is for all messages",
            "├── 2. audit  only=is_audited, which is True of PlaceOrder",
            "├── 3. not Timing  only=Query, StreamRequest, and PlaceOrder is none",
        ]
        assert lines[8].startswith("└── handled by PlaceOrderHandler")

    def test_events(self):
        """Then comes what becomes of its events, and of those raised in turn."""
        lines = invoke("explain", SHOP, "PlaceOrder").output.splitlines()

        assert [line for line in lines if "when the outermost" in line] == [
            f"{name}, when the outermost send has succeeded"
            for name in (
                "OrderPlaced  domain",
                "StockTaken  domain",
                "OrderShipped  notification",
            )
        ]

    def test_outbox(self):
        """What an outbox takes is handled where it is consumed."""
        result = invoke("explain", "examples.distributed.app:mediator", "PlaceOrder")

        assert "OrderPlaced  notification, written into the outbox" in result.output

    def test_no_events(self):
        """A request without events ends with its handler."""
        lines = invoke("explain", SHOP, "ReadOrders").output.splitlines()

        assert lines[-1].startswith("└── handled by read_orders")

    def test_within(self):
        """Domain events that a middleware hands on are handled before it ends."""
        result = invoke("explain", f"{HERE}:make_within", "PlaceOrder")

        assert "EventCollectionMiddleware  [domain events]" in result.output
        assert "OrderPlaced  domain, before the middleware for domain" in result.output

    def test_handled_elsewhere(self):
        """What is only posted tells by whom."""
        lines = invoke("explain", SHOP, "SendInvoice").output.splitlines()

        assert "posted by OrderPlaced" in lines
        assert lines[-1] == "└── no handler here: it is handled elsewhere"

    def test_wiring_errors(self):
        """What is wrong with it is told in full."""
        lines = invoke("explain", f"{HERE}:make_broken", "Heard").output.splitlines()

        assert lines[2].startswith("wiring error 1: hear cannot be called: its param")

    def test_forgotten(self):
        """What is wrong for want of a handler is not said to be handled elsewhere."""
        result = invoke("explain", f"{HERE}:make_forgetful", "Forgotten")

        assert "wiring error 1: Forgotten has no handler" in result.output
        assert "no handler here" in result.output
        assert "handled elsewhere" not in result.output

    def test_event(self):
        """An event can be explained, too."""
        lines = invoke("explain", SHOP, "StockTaken").output.splitlines()

        assert "raised by PlaceOrder (a guess)" in lines
        assert "├── 1. not audit  only=OrderPlaced, and StockTaken is none" in lines

    @pytest.mark.parametrize(
        "name", ["shop.PlaceOrder", "tests.unit.description.shop:PlaceOrder"]
    )
    def test_longer_name(self, name):
        """A name may be as long as it has to be to be clear."""
        assert invoke("explain", SHOP, name).output.startswith("PlaceOrder(")

    def test_unknown_name(self):
        """A name that is close to another is asked about."""
        result = invoke("explain", SHOP, "PlaceOder")

        assert (result.exit_code, result.stderr) == (
            2,
            "diator: there is no 'PlaceOder' among them; did you mean PlaceOrder?\n",
        )

    def test_ambiguous_name(self):
        """Of several of a name, all are told."""
        result = invoke("explain", f"{HERE}:make_twice", "Lonely")

        assert result.exit_code == 2
        assert f"may be any of these: {HERE}:Lonely, {HERE}:make_twice" in result.stderr


class Forgotten(Command):
    pass


def make_forgetful():
    async def send_on(command: Lonely, mediator: Mediator) -> None:
        await mediator.send(Forgotten())

    mediator = Mediator()
    mediator.container[Mediator] = mediator
    mediator.handles(Lonely)(send_on)
    # Its module is shared with others, so that only what is sent is looked at.
    mediator.event_emitter.registry.add(Left)
    return mediator


def make_within():
    from diator.middlewares.event_collection import EventCollectionMiddleware

    mediator = make_shop()
    mediator.use(EventCollectionMiddleware(mediator.event_emitter))
    return mediator


def make_twice():
    class Lonely(Command):
        pass

    async def leave_again(command) -> None: ...

    leave_again.__module__ = "elsewhere"
    mediator = make_broken()
    mediator.handles(Lonely)(leave_again)
    return mediator


class TestGraph:
    def test_all(self):
        """All messages are drawn, a guess dotted."""
        lines = invoke("graph", SHOP).output.splitlines()

        order = "request_tests_unit_description_shop_PlaceOrder"
        placed = "event_tests_unit_description_shop_OrderPlaced"
        assert lines[0] == "flowchart LR"
        for line in (
            f'{order}(["PlaceOrder<br/>PlaceOrderHandler"])',
            f'{placed}{{{{"OrderPlaced"}}}}',
            f"{order} --> {placed}",
            f"{order} -.->|guess| event_tests_unit_description_shop_StockTaken",
            f"{placed} --> handler_tests_unit_description_shop_Ship",
            'broker[("FakeBroker")]',
            "event_tests_unit_description_shop_OrderShipped --> broker",
        ):
            assert f"    {line}" in lines, line
        posts = [line for line in lines if "|posts|" in line]
        assert len(posts) == 1

    def test_modules(self):
        """Requests of several modules are drawn apart."""
        lines = invoke("graph", f"{HERE}:make_modules").output.splitlines()

        assert [line.split("[")[1] for line in lines if "subgraph" in line] == [
            '"tests.unit.cli.test_wiring"]',
            '"tests.unit.description.shop"]',
        ]
        assert sum(line.strip().startswith("end") for line in lines) == 2

    def test_one(self):
        """One request is drawn with its middlewares, and with all that follows."""
        lines = invoke("graph", SHOP, "--request", "PlaceOrder").output.splitlines()

        assert '    middleware_1[/"Timing"/]' in lines
        assert "    middleware_1 --> middleware_2" in lines
        assert not [line for line in lines if "ReadOrders" in line]
        assert [line for line in lines if "SendInvoice" in line]

    def test_one_without_middlewares(self):
        """One that no middleware is around is drawn alone."""
        lines = invoke(
            "graph", f"{HERE}:make_broken", "--request", "Lonely"
        ).output.splitlines()

        assert len(lines) == 2

    def test_outbox(self):
        """What leaves by an outbox is drawn so."""
        output = invoke("graph", "examples.distributed.app:mediator").output

        assert 'outbox[("outbox")]' in output

    def test_in_memory(self):
        """What the broker in memory takes is drawn as staying."""
        output = invoke("graph", "examples.meetings:mediator").output

        assert 'broker[("InMemoryMessageBroker<br/>in this process")]' in output

    def test_forgotten(self):
        """What is wrong for want of a handler is not drawn as handled elsewhere."""
        output = invoke("graph", f"{HERE}:make_forgetful").output

        assert '(["Forgotten<br/>no handler"])' in output

    def test_same(self):
        """It is the same whenever the wiring is, so that it can be committed."""
        assert invoke("graph", SHOP).output == invoke("graph", SHOP).output

    def test_escaped(self):
        """Names with signs of Mermaid are escaped, and told apart."""
        lines = flowchart(describe(make_twice()))

        assert any("make_twice.#lt;locals#gt;.leave_again" in line for line in lines)

    def test_same_ids(self):
        """Two names that look alike in an id are told apart."""

        async def hear_it(event: Heard) -> None: ...

        async def hear__it(event: Heard) -> None: ...

        mediator = Mediator()
        for handler in (hear_it, hear__it):
            handler.__qualname__ = handler.__qualname__.replace("__it", "..it")
            mediator.handles(Heard)(handler)
        hear_it.__qualname__ = hear__it.__qualname__.replace("..it", ".it")

        lines = flowchart(describe(mediator))

        assert len([line for line in lines if line.startswith("    handler_")]) == 2

    def test_too_large(self):
        """What Mermaid would not draw is said so, beside the graph."""
        result = invoke("graph", f"{HERE}:make_large")

        assert "Mermaid draws up to 500 edges, and these are 501" in result.stderr
        assert "Mermaid draws" not in result.stdout

    def test_streams(self):
        """A guess of what is sent is dotted, and what is streamed says so."""
        lines = flowchart(describe(make_sender()))

        assert [line.split("|")[1] for line in lines if "|" in line] == [
            "sends",
            "sends",
            "posts",
            "streams",
            "sends, a guess",
        ]


def make_typed():
    names = {"__name__": "typed", "Command": Command}
    exec("class Typed(Command): ...\nasync def handle(command): ...", names)
    mediator = Mediator()
    mediator.handles(names["Typed"])(names["handle"])
    return mediator


def make_consumer():
    return Consumer(make_shop(), FakeBroker(), group="shop")


class Arrived(NotificationEvent):
    pass


async def arrive(event: Arrived) -> None: ...


async def hear_arrived(event: Heard) -> None:
    collect(Arrived())


def make_mails(*, broker=None):
    mediator = Mediator(event_emitter=EventEmitter(message_broker=broker))
    registry = mediator.event_emitter.registry
    registry.add(Arrived, name="arrived.v1", topic="arrivals")
    registry.add(Lonely)
    registry.add(Left)
    mediator.handles(Arrived)(arrive)
    mediator.handles(Lonely)(leave)
    return Consumer(mediator, FakeBroker(), group="mails")


def make_returning(*, broker=None):
    """Make one that raises what it receives."""
    consumer = make_mails(broker=broker or shop.FakeBroker())
    consumer.mediator.handles(Heard)(hear_arrived)
    return consumer


def make_stuck():
    """Make one that raises what it receives, and has no broker."""
    consumer = make_mails()
    consumer.mediator.handles(Heard)(hear_arrived)
    return consumer


def make_keeping():
    """Make one whose mediator has the broker in memory."""
    return make_returning(broker=InMemoryMessageBroker())


def make_same_broker():
    broker = InMemoryMessageBroker()
    mediator = make_keeping().mediator
    mediator.event_emitter.message_broker = broker
    return Consumer(mediator, broker, group="mails")


class Keeping:
    """An outbox."""

    takes_outbound = True

    async def __call__(self, message, handle):
        return await handle(message)


def make_keeping_with_outbox():
    consumer = make_keeping()
    consumer.mediator.event_emitter.use(Keeping())
    return consumer


class TestConsumer:
    def test_header(self):
        """It is said where the messages of a consumer come from."""
        output = invoke("describe", f"{HERE}:make_mails").output

        assert output.splitlines()[3] == (
            "receives from FakeBroker, group mails, topics arrivals, commands"
        )

    def test_nothing_to_receive(self):
        """So it is where no type in the registry has a handler."""
        output = invoke("describe", f"{HERE}:make_consumer").output

        assert "receives from FakeBroker, group shop, topics none" in output
        assert "received from" not in output

    def test_messages(self):
        """Each message that is received says so, and not that nobody raises it."""
        output = invoke("describe", f"{HERE}:make_mails").output

        lonely, arrived, left = (
            re.split(r"\n[├└]── ", output[output.index(f"── {name}") :])[0]
            for name in ("Lonely", "Arrived", "Left")
        )
        assert "received from FakeBroker, topic commands" in lonely
        assert "received from FakeBroker, topic arrivals" in arrived
        assert "raise it" not in arrived
        assert "leave" not in arrived
        assert "no handler is seen to raise it" in left
        assert "cannot leave" in left

    def test_raised_too(self):
        """What is received and raised leaves, too."""
        result = invoke("explain", f"{HERE}:make_returning", "Arrived")

        assert result.output.splitlines()[2:4] == [
            "received from FakeBroker, topic arrivals",
            "raised by Heard",
        ]
        assert "leaves by FakeBroker, as arrived.v1" in result.output

    def test_raised_without_broker(self):
        """What is received, and raised where there is no broker, cannot leave."""
        result = invoke("explain", f"{HERE}:make_stuck", "Arrived")

        assert "cannot leave: there is no message broker" in result.output

    def test_kept_in_memory(self):
        """What the broker in memory takes of a consumer of another one is found."""
        result = invoke("check", f"{HERE}:make_keeping")

        assert result.exit_code == 1
        told, summary, _ = result.output.splitlines()
        assert told.startswith("1. Arrived stays in this process: hear_arrived raises ")
        assert "the consumer receives from FakeBroker; give the mediator a" in told
        assert summary.startswith("1 wiring error in ")

    @pytest.mark.parametrize(
        "make", ["make_returning", "make_same_broker", "make_keeping_with_outbox"]
    )
    def test_leaving(self, make):
        """So is nothing where it leaves, or goes where the consumer receives."""
        assert invoke("check", f"{HERE}:{make}").exit_code == 0

    def test_mediator_alone(self):
        """Of a mediator alone, nobody knows whether it is meant to stay."""
        make_keeping().mediator.check()

    def test_flowchart(self):
        """It is drawn where messages come from."""
        lines = invoke("graph", f"{HERE}:make_mails").output.splitlines()

        assert '    source[("FakeBroker<br/>group mails")]' in lines
        assert [line.strip() for line in lines if "source -->" in line] == [
            "source -->|commands| request_tests_unit_cli_test_wiring_Lonely",
            "source -->|arrivals| event_tests_unit_cli_test_wiring_Arrived",
        ]


def make_modules():
    mediator = make_shop()
    mediator.handles(Lonely)(leave)
    return mediator


def make_sender():
    from tests.unit.description import deeds

    mediator = Mediator()
    mediator.container[Mediator] = mediator
    mediator.bind(deeds.A, deeds.Sends)
    mediator.handles(deeds.A)(deeds.sends_first_by_need)
    return mediator


class TestNotFound:
    @pytest.mark.parametrize("command", ["describe", "check", "graph"])
    @pytest.mark.parametrize(
        "target, reason",
        [
            ("no_such_module:mediator", "there is no module 'no_such_module'"),
            (f"{HERE}:make_shopp", "did you mean make_shop"),
            (f"{HERE}:Lonely", "is not what this command is for"),
            ("mediator", "write package.module:attribute"),
        ],
    )
    def test_target(self, command, target, reason):
        """Where there is nothing to look at, it is said why, apart from a finding."""
        result = invoke(command, target)

        assert result.exit_code == 2
        assert result.stderr.startswith("diator: ")
        assert reason in result.stderr

    def test_consumer(self):
        """Of a consumer, the mediator is looked at."""
        result = invoke("check", f"{HERE}:make_consumer")

        assert result.output == (
            f"{HERE}:make_consumer is wired completely: 4 requests, 5 events\n"
        )

    def test_other_object(self):
        """What has no mediator is told by its type, and never run."""
        result = invoke("check", "tests.unit.cli.test_main:relay")

        assert result.exit_code == 2
        assert "diator: an object of the type Relay is not what this" in result.stderr
        assert "name the Mediator (or a Consumer, which has one)" in result.stderr

    def test_unreachable(self):
        """What cannot be opened says so."""
        result = invoke("check", f"{HERE}:open_unreachable")

        assert (result.exit_code, result.stderr) == (2, "diator: no route\n")

    def test_broken_module(self, tmp_path, monkeypatch):
        """A module that imports in vain is named with what it imports."""
        (tmp_path / "importing_app.py").write_text("import nothing_of_this_name\n")
        monkeypatch.syspath_prepend(tmp_path)

        result = invoke("check", "importing_app:mediator")

        assert result.exit_code == 2
        assert "nothing_of_this_name" in result.stderr


PAGE = (Path(__file__).parents[3] / "docs" / "wiring.md").read_text()


class TestPage:
    @pytest.mark.parametrize(
        "command, output",
        re.findall(r"```console\n\$ diator (.*)\n((?s:.*?))```", PAGE),
    )
    def test_output(self, command, output):
        """The page shows what the commands print."""
        assert invoke(*command.split()).output == output

    def test_flowchart(self):
        """Its flowchart is the one that the command draws."""
        drawn = invoke("graph", "examples.meetings:mediator").output

        assert f"```mermaid\n{drawn}```" in PAGE
