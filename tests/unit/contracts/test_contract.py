"""What a contract says of messages, and whether the messages keep to it."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import msgspec
import pytest
from attrs import frozen
from jsonschema import Draft202012Validator, ValidationError
from pydantic import BaseModel, ConfigDict, Field, create_model

from diator import Command, ECSTEvent, Mediator, NotificationEvent
from diator.contracts.contract import Contract
from diator.events.message_brokers.encoding import encode
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.exceptions import ConfigurationError
from diator.messages.cloud_events import CloudEventsBroker
from diator.messages.registry import MessageRegistry


class Kind(enum.Enum):
    PLAIN = "plain"
    GIFT = "gift"


@dataclass(frozen=True)
class Item:
    """One line of an order."""

    price: Annotated[int, msgspec.Meta(gt=0)]
    size: tuple[int, str] | None = None


@dataclass(frozen=True, kw_only=True)
class OrderPlaced(NotificationEvent):
    """An order was placed."""

    order_id: int
    items: list[Item]
    kind: Kind = Kind.PLAIN
    notes: dict[str, str] = field(default_factory=dict)
    gift_for: str | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, kw_only=True)
class CustomerChanged(ECSTEvent):
    name: str
    since: datetime | None = None


class Ship(msgspec.Struct, Command, frozen=True, tag="ship", omit_defaults=True):
    item: Item
    express: bool = False


class Address(BaseModel):
    street: str = "?"


class Deliver(BaseModel, Command):
    to: Address = Field(alias="address")


@frozen
class Cancel(Command):
    order_id: int
    reason: str = "none"


def make_registry(*types: Any) -> MessageRegistry:
    registry = MessageRegistry()
    for each in types or (OrderPlaced, CustomerChanged, Ship, Cancel):
        registry.add(each, name=f"{each.__name__}.v1")
    return registry


def make_contract(*types: Any, **options: Any) -> Contract:
    return Contract(make_registry(*types), title="Shop", version="1.0.0", **options)


def schema_of(name: str, *types: Any, **options: Any) -> Any:
    return make_contract(*types, **options).json_schema()["$defs"][name]


def body_of(message: Any, registry: MessageRegistry | None = None) -> Any:
    return json.loads(encode((registry or make_registry()).message(message, {})))


ORDER = OrderPlaced(order_id=1, items=[Item(5, (1, "m")), Item(6)], notes={"a": "b"})


class TestJsonSchema:
    @pytest.mark.parametrize("cloud_events", [None, "structured", "binary"])
    def test_is_one(self, cloud_events):
        """It is valid by the schema of schemas, and leads nowhere else."""
        schema = make_contract(cloud_events=cloud_events).json_schema()

        Draft202012Validator.check_schema(schema)
        for reference in references(schema):
            assert reference.removeprefix("#/$defs/") in schema["$defs"]

    @pytest.mark.parametrize("message", [ORDER, CustomerChanged(name="Ann")])
    def test_sent(self, message):
        """What is sent is valid."""
        Draft202012Validator(make_contract().json_schema()).validate(body_of(message))

    def test_other_messages(self):
        """What is no message of the contract is not."""
        body = body_of(ORDER)
        body["payload"]["order_id"] = "1"

        with pytest.raises(ValidationError):
            Draft202012Validator(make_contract().json_schema()).validate(body)

    def test_always_written(self):
        """What is sent always has its fields with a default, but for those UNSET."""
        required = schema_of("OrderPlaced")["required"]

        assert set(required) == {
            *("order_id", "items", "kind", "notes"),
            *("event_id", "event_timestamp"),
        }
        assert schema_of("Item")["required"] == ["price", "size"]

    def test_written_structs(self):
        """Structs always have their tag, and no defaults where these are left out."""
        assert schema_of("Ship")["required"] == ["type", "item"]

    def test_written_attrs(self):
        """Classes of attrs always have all fields."""
        assert schema_of("Cancel")["required"] == ["order_id", "reason"]

    def test_may_be_missing(self):
        """In what is received, fields with a default may be missing."""
        received = schema_of("OrderPlaced.received", receives=[OrderPlaced])

        assert set(received["required"]) == {"order_id", "items"}

    def test_part_of_both(self):
        """What is a part of sent and of received messages stands there twice."""
        parts = make_contract(receives=[Ship]).json_schema()["$defs"]

        assert parts["Item"]["required"] == ["price", "size"]
        assert parts["Item.received"]["required"] == ["price"]

    def test_pydantic(self):
        """Models are described by themselves, as they are written, or read."""
        written = make_contract(Deliver).json_schema()["$defs"]
        read = make_contract(Deliver, receives=[Deliver]).json_schema()["$defs"]

        [payload] = [written["message.Deliver.v1"]["properties"]["payload"]]
        assert payload["required"] == ["to"]
        assert written["Address"]["required"] == ["street"]
        [payload] = [read["message.Deliver.v1"]["properties"]["payload"]]
        assert payload["required"] == ["address"]
        assert "required" not in read["Address.received"]

    def test_aliases(self):
        """Models that are written by their aliases are told so."""

        class Aliased(BaseModel, Command):
            model_config = ConfigDict(serialize_by_alias=True)
            number: int = Field(1, alias="nr")

        message = schema_of("message.Aliased.v1", Aliased)
        assert list(message["properties"]["payload"]["properties"]) == ["nr"]

    def test_same_names(self):
        """Types that cannot be told apart by their names are refused."""

        def model_with(item):
            return create_model("Model", __base__=(BaseModel, Command), item=item)

        class Item(BaseModel):
            number: int

        one, plain = model_with(Item), model_with(Item)

        class Item(BaseModel):  # that is what it is about
            text: str

        registry = MessageRegistry()
        for number, each in enumerate((one, model_with(Item))):
            registry.add(each, name=f"v{number}")
        with pytest.raises(ConfigurationError, match="several types are called Item"):
            Contract(registry, title="Shop", version="1").asyncapi()
        registry = MessageRegistry()
        registry.add(plain)
        registry.add(Ship)
        with pytest.raises(ConfigurationError, match="several types are called Item"):
            Contract(registry, title="Shop", version="1").asyncapi()

    def test_fields_called_like_keywords(self):
        """A field may have the name of a keyword."""

        @dataclass(frozen=True, kw_only=True)
        class Odd(NotificationEvent):
            prefixItems: int  # noqa: N815  # that is what it is about
            items: int

        odd = make_contract(Odd).asyncapi()["components"]["schemas"]["Odd"]
        assert {"prefixItems", "items"} <= odd["properties"].keys()

    def test_time(self):
        """The time of an event is in UTC."""
        time = schema_of("CustomerChanged")["properties"]["event_timestamp"]

        assert time == {"type": "string", "format": "date-time"}

    async def test_cloud_events(self):
        """CloudEvents are valid where the contract says that there are some."""
        broker = InMemoryMessageBroker()
        message = make_registry().message(ORDER, {"correlation_id": "1"})
        for mode in ("structured", "binary"):
            sender = CloudEventsBroker(broker, source="/shop", mode=mode)
            await sender.publish([message])
            body = json.loads(broker.messages[-1].body or b"")
            contract = make_contract(OrderPlaced, cloud_events=mode)

            Draft202012Validator(contract.json_schema()).validate(body)
            headers = contract.asyncapi()["components"]["messages"]["OrderPlaced.v1"][
                "headers"
            ]
            Draft202012Validator(headers).validate(dict(broker.messages[-1].headers))

    def test_no_form(self):
        """A field that has no form in JSON is told of, with its message."""

        @dataclass(frozen=True, kw_only=True)
        class Odd(NotificationEvent):
            key: complex

        contract = make_contract(Odd)

        with pytest.raises(ConfigurationError, match=r"Odd.*complex"):
            contract.json_schema()


class TestAsyncapi:
    def test_operations(self):
        """What is received is told from what is sent."""
        operations = make_contract(receives=[Ship]).asyncapi()["operations"]

        assert {name: each["action"] for name, each in operations.items()} == {
            "send.OrderPlaced.v1": "send",
            "send.CustomerChanged.v1": "send",
            "receive.Ship.v1": "receive",
            "send.Cancel.v1": "send",
        }

    def test_channels(self):
        """Each topic is a channel, with its messages."""
        channels = make_contract().asyncapi()["channels"]

        assert {name: list(each["messages"]) for name, each in channels.items()} == {
            "events": ["OrderPlaced.v1", "CustomerChanged.v1"],
            "commands": ["Ship.v1", "Cancel.v1"],
        }

    def test_told(self):
        """Docstrings that somebody wrote describe messages."""
        messages = make_contract().asyncapi()["components"]["messages"]

        assert messages["OrderPlaced.v1"]["description"] == "An order was placed."
        assert "description" not in messages["CustomerChanged.v1"]

    def test_tuples(self):
        """Tuples are told as the older JSON Schema of AsyncAPI has them."""
        item = make_contract().asyncapi()["components"]["schemas"]["Item"]

        size = item["properties"]["size"]["anyOf"][0]
        assert size["items"] == [{"type": "integer"}, {"type": "string"}]
        assert size["additionalItems"] is False

    def test_same_again(self):
        """It is the same each time, to be kept under version control."""
        assert json.dumps(make_contract().asyncapi()) == json.dumps(
            make_contract().asyncapi()
        )


class TestContract:
    def test_nothing(self):
        """A contract of no messages is none."""
        with pytest.raises(
            ConfigurationError, match=r"add each event and command .*registry\.add"
        ):
            Contract(MessageRegistry(), title="Shop", version="1")

    async def test_nothing_but_what_leaves(self):
        """What has left without being in the registry is named, to be added."""
        mediator = Mediator(message_broker=InMemoryMessageBroker())
        await mediator.event_emitter.emit(CustomerChanged(name="Ann"))
        await mediator.post(Cancel(1))

        with pytest.raises(
            ConfigurationError, match=r"Cancel, \S*CustomerChanged left .*registry\.add"
        ):
            Contract(mediator.event_emitter.registry, title="Shop", version="1")

    def test_unknown_received(self):
        """What is received has to be in the registry."""
        with pytest.raises(ConfigurationError, match="Cancel is not in the registry"):
            make_contract(Ship, receives=[Cancel])

    def test_unknown_mode(self):
        """There are two modes of CloudEvents."""
        with pytest.raises(ConfigurationError, match="'batched'"):
            make_contract(cloud_events="batched")


def references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [found for each in schema for found in references(each)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"]] if "$ref" in schema else []
    return own + [found for each in schema.values() for found in references(each)]
