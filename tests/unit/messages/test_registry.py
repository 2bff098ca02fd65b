"""What messages are called on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from diator import Command, ECSTEvent, NotificationEvent
from diator.events.event import CommandPosted
from diator.exceptions import BindingError, ConfigurationError, EncodingError
from diator.messages.registry import MessageRegistry


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    user_id: int


@dataclass(frozen=True, kw_only=True)
class StockChanged(ECSTEvent):
    amount: int


@dataclass(frozen=True, kw_only=True)
class OpenRoom(Command):
    name: str


def make_message(registry, event):
    return registry.message(event, {})


class TestMessage:
    @pytest.mark.parametrize(
        "event, kind, topic",
        [
            (UserJoined(user_id=1), "notification_event", "events"),
            (StockChanged(amount=1), "ecst_event", "events"),
        ],
    )
    def test_not_added(self, event: Any, kind: str, topic: str):
        """What was not added leaves under the name of its class, without a key."""
        message = make_message(MessageRegistry(), event)

        assert message.message_type == kind
        assert message.message_name == type(event).__name__
        assert message.message_id == event.event_id
        assert message.payload is event
        assert (message.topic, message.key, message.headers) == (topic, None, {})

    def test_added(self):
        """What was added has the name, the topic and the key that were given."""
        registry = MessageRegistry()
        registry.add(
            UserJoined,
            name="user.joined.v1",
            topic="users",
            key=lambda event: str(event.user_id),
        )

        message = make_message(registry, UserJoined(user_id=7))

        assert message.message_name == "user.joined.v1"
        assert (message.topic, message.key) == ("users", "7")

    def test_command(self):
        """A command that was posted is the payload, under the id of its posting."""
        registry = MessageRegistry()
        registry.add(OpenRoom, key=lambda command: command.name)
        posted = CommandPosted(command=OpenRoom(name="attic"))

        message = make_message(registry, posted)

        assert (message.message_type, message.message_name) == ("command", "OpenRoom")
        assert message.message_id == posted.command_id
        assert message.payload is posted.command
        assert (message.topic, message.key) == ("commands", "attic")

    def test_key_of_another_type(self):
        """A key that is no text is refused, with what the function returned."""
        registry = MessageRegistry()
        registry.add(UserJoined, key=lambda event: event.user_id)

        with pytest.raises(
            EncodingError,
            match=r"key of UserJoined must be a str.* returned 7, .* type int: .*str\(",
        ):
            make_message(registry, UserJoined(user_id=7))

    def test_no_key(self):
        """A key function may give none."""
        registry = MessageRegistry()
        registry.add(UserJoined, key=lambda event: None)

        assert make_message(registry, UserJoined(user_id=7)).key is None

    def test_headers(self):
        """The headers go with it."""
        message = MessageRegistry().message(UserJoined(user_id=7), {"a": "b"})

        assert message.headers == {"a": "b"}

    def test_another_kind(self):
        """What does not go between processes has no message."""
        posted = CommandPosted(command="no command")

        with pytest.raises(BindingError, match=r"str.* does not go between processes"):
            make_message(MessageRegistry(), posted)


class TestAdd:
    def test_type_of(self):
        """A type is found by its name, and by no other."""
        registry = MessageRegistry()
        registry.add(UserJoined, name="user.joined.v1")

        assert registry.type_of("user.joined.v1") is UserJoined
        assert registry.type_of("UserJoined") is None

    def test_another_kind(self):
        """Only what goes between processes can be added."""
        with pytest.raises(BindingError, match="derive it from NotificationEvent"):
            MessageRegistry().add(int)

    @pytest.mark.parametrize("wrong", ["", "a b", "a:b", "*", ".a", "x" * 201])
    @pytest.mark.parametrize("kind", ["name", "topic"])
    def test_characters(self, kind: str, wrong: str):
        """Names and topics have characters that every broker takes."""
        with pytest.raises(BindingError, match=f"UserJoined cannot have the {kind}"):
            MessageRegistry().add(UserJoined, **{kind: wrong})

    def test_twice(self):
        """A type is added once."""
        registry = MessageRegistry()
        registry.add(UserJoined)

        with pytest.raises(BindingError, match="UserJoined is added too late"):
            registry.add(UserJoined, name="other")

    def test_after_it_was_published(self):
        """A type cannot get another name when messages are under way."""
        registry = MessageRegistry()
        make_message(registry, UserJoined(user_id=1))

        with pytest.raises(BindingError, match="UserJoined is added too late"):
            registry.add(UserJoined)

    def test_name_of_another(self):
        """No two types have one name."""
        registry = MessageRegistry()
        registry.add(UserJoined, name="it")

        with pytest.raises(BindingError, match="'it': UserJoined is"):
            registry.add(StockChanged, name="it")


def rename(payload: dict[str, Any]) -> dict[str, Any]:
    return payload


class TestUpcasts:
    def test_versions(self):
        """Older versions lead to the newest one, each by its function."""
        registry = MessageRegistry()

        @registry.upcasts("user.joined.v1", to="user.joined.v2")
        def first(payload: dict[str, Any]) -> dict[str, Any]:
            return payload

        @registry.upcasts("user.joined.v2", to="user.joined.v3")
        def second(payload: dict[str, Any]) -> dict[str, Any]:
            return payload

        assert registry.upcasters("user.joined.v1") == (
            "user.joined.v3",
            [first, second],
        )
        assert registry.upcasters("user.joined.v2") == ("user.joined.v3", [second])
        assert registry.upcasters("user.joined.v3") == ("user.joined.v3", [])

    def test_async(self):
        """Upcasters are no place to wait for anything."""

        async def wait(payload: dict[str, Any]) -> dict[str, Any]:
            return payload

        with pytest.raises(BindingError, match=r"wait cannot upcast: .* not be async"):
            MessageRegistry().upcasts("v1", to="v2")(wait)

    @pytest.mark.parametrize("name, to", [("a b", "v2"), ("v1", "*")])
    def test_characters(self, name: str, to: str):
        """Versions have the characters of names."""
        with pytest.raises(BindingError, match="rename cannot have the name"):
            MessageRegistry().upcasts(name, to=to)(rename)

    def test_twice(self):
        """A version is read in one way."""
        registry = MessageRegistry()
        registry.upcasts("v1", to="v2")(rename)

        with pytest.raises(BindingError, match="'v1' is upcast already, to 'v2'"):
            registry.upcasts("v1", to="v3")(rename)

    @pytest.mark.parametrize("to", ["v1", "v2", "v3"])
    def test_circle(self, to: str):
        """No version leads to itself."""
        registry = MessageRegistry()
        registry.upcasts("v2", to="v3")(rename)
        registry.upcasts("v3", to="v1")(rename)

        with pytest.raises(BindingError, match=f"'v1' cannot be upcast to '{to}'"):
            registry.upcasts("v1", to=to)(rename)

    def test_name_of_a_type(self):
        """What a type is called is read as it is."""
        registry = MessageRegistry()
        registry.add(UserJoined, name="v1")
        registry.upcasts("v0", to="v1")(rename)

        with pytest.raises(BindingError, match="'v1' cannot be the name of a type"):
            registry.upcasts("v1", to="v2")(rename)
        with pytest.raises(BindingError, match="'v0' cannot be the name of a type"):
            registry.add(StockChanged, name="v0")

    def test_check(self):
        """A version that leads to no type is found before a message comes."""
        registry = MessageRegistry()
        registry.upcasts("v1", to="v2")(rename)
        registry.upcasts("v0", to="v1")(rename)

        with pytest.raises(ConfigurationError, match="add the type with name='v2'"):
            registry.check()

        registry.add(UserJoined, name="v2")
        registry.check()


class TestEntries:
    def test_iterated(self):
        """The types that were added can be listed, those that left anyway cannot."""
        registry = MessageRegistry()
        registry.add(UserJoined, topic="users")
        make_message(registry, StockChanged(amount=1))

        [(message_type, entry)] = registry

        assert message_type is UserJoined
        assert entry is registry.entry(UserJoined)
        assert (entry.message_type, entry.topic) == ("notification_event", "users")

    def test_unregistered(self):
        """What was published without having been added is known, and nothing else."""
        registry = MessageRegistry()
        registry.add(UserJoined)
        assert registry.unregistered() == []

        for event in (UserJoined(user_id=1), StockChanged(amount=1)):
            make_message(registry, event)

        assert registry.unregistered() == [StockChanged]
