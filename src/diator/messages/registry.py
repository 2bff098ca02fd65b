"""Which names, topics and keys the types of messages have on the wire."""

from __future__ import annotations

import inspect
import re
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from uuid import UUID, uuid4

from diator.events.event import CommandPosted, ECSTEvent, NotificationEvent
from diator.events.message_brokers.protocol import COMMANDS, EVENTS, Message
from diator.exceptions import BindingError, ConfigurationError, EncodingError
from diator.handler import qualified_name
from diator.requests.request import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

M = TypeVar("M")
U = TypeVar("U", bound="Upcaster")

# What is safe in the names of streams, channels, queues, subjects and files alike.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class Entry(NamedTuple):
    """
    What a type of message is called.

    Attributes:
        message_type: Its kind: `notification_event`, `ecst_event` or `command`.
        name: Tells the type, and its version, to other processes.
        topic: Where it is published.
        key: Gives, from a message, what others have to have in common with it to be
            kept in order.

    """

    message_type: str
    name: str
    topic: str
    key: Callable[[Any], str] | None = None


class MessageRegistry:
    """
    The types of events and commands that go between processes.

    A type that is not in it leaves under the name of its class. None comes in that is
    not in it, whatever a message says of itself.
    """

    def __init__(self) -> None:
        self._entries: dict[type, Entry] = {}
        self._types: dict[str, type] = {}
        self._upcasters: dict[str, tuple[str, Upcaster]] = {}
        self._published: dict[type, Entry] = {}

    def add(
        self,
        message_type: type[M],
        *,
        name: str | None = None,
        topic: str | None = None,
        key: Callable[[M], str] | None = None,
    ) -> None:
        """
        Add a type of event or command.

        Args:
            message_type: A class that derives from `NotificationEvent`, `ECSTEvent` or
                `Command`.
            name: What it is called on the wire, such as `user.joined.v1`; that of the
                class if left out. It has to stay when the class is renamed.
            topic: Where it is published: `events`, or `commands`, if left out.
            key: Gives the key of a message, a text: those with the same one stay in
                order, where the broker keeps any. Without, there is no order.

        Raises:
            BindingError: It is another kind of class, has been added or published
                already, or its name or topic is another's, or has other characters
                than letters, digits, `.`, `_` and `-`.

        """
        entry = _entry(message_type, name=name, topic=topic, key=key)
        if entry is None:
            msg = (
                f"{message_type!r} does not go between processes: derive it from "
                "NotificationEvent, ECSTEvent or Command"
            )
            raise BindingError(msg)
        _check_name(message_type, "name", entry.name)
        _check_name(message_type, "topic", entry.topic)
        if entry.name in self._upcasters:
            raise BindingError(_both(entry.name))
        if message_type in self._entries or message_type in self._published:
            msg = (
                f"{message_type.__qualname__} is added too late: it was added, or "
                "published, already"
            )
            raise BindingError(msg)
        known = self._types.setdefault(entry.name, message_type)
        if known is not message_type:
            msg = (
                f"{message_type.__qualname__} cannot be called {entry.name!r}: "
                f"{known.__qualname__} is; give one another name="
            )
            raise BindingError(msg)
        self._entries[message_type] = entry

    def upcasts(self, name: str, *, to: str) -> Callable[[U], U]:
        """
        Make the decorated function read messages of an older version.

        It takes the payload as a dict of what JSON knows, changes it or makes another,
        and returns it. One version at a time is enough: `user.joined.v1` may lead to
        `user.joined.v2`, and that to the type with the name `user.joined.v3`.

        Args:
            name: The older version, which no type has as its name any more.
            to: The name of what the function gives: that of a type, or of another
                older version.

        Raises:
            BindingError: The function is async, or a name has other characters than
                those of `add`, or is a type's or read already, or leads to itself.

        """

        def bind(upcaster: U) -> U:
            _check_name(upcaster, "name", name)
            _check_name(upcaster, "name", to)
            if inspect.iscoroutinefunction(upcaster):
                msg = f"{qualified_name(upcaster)} cannot upcast: it must not be async"
                raise BindingError(msg)
            if name in self._types:
                raise BindingError(_both(name))
            if name in self._upcasters:
                msg = f"{name!r} is upcast already, to {self._upcasters[name][0]!r}"
                raise BindingError(msg)
            if name in (to, *self._versions(to)):
                msg = f"{name!r} cannot be upcast to {to!r}, which leads back to it"
                raise BindingError(msg)
            self._upcasters[name] = to, upcaster
            return upcaster

        return bind

    def upcasters(self, name: str) -> tuple[str, list[Upcaster]]:
        """Give the newest version of a name, and the functions that lead there."""
        versions = [name, *self._versions(name)]
        return versions[-1], [self._upcasters[each][1] for each in versions[:-1]]

    def type_of(self, name: str) -> type | None:
        """Give the type that has a name on the wire, None if there is none."""
        return self._types.get(name)

    def entry(self, message_type: type) -> Entry:
        """Give what a type that was added is called."""
        return self._entries[message_type]

    def entry_of(self, message_type: type) -> Entry:
        """
        Give what a type is called, which was added or is to be published without.

        Raises:
            BindingError: It does not go between processes.

        """
        entry = self._entries.get(message_type) or _entry(message_type)
        if entry is None:
            msg = f"{message_type!r} does not go between processes"
            raise BindingError(msg)
        return entry

    def unregistered(self) -> list[type]:
        """Give the types that were published without having been added."""
        return [each for each in self._published if each not in self._entries]

    def check(self) -> None:
        """
        Look for older versions that lead to nothing.

        Raises:
            ConfigurationError: No type has the name that one is upcast to.

        """
        for name in self._upcasters:
            newest, _ = self.upcasters(name)
            if newest not in self._types:
                msg = (
                    f"{name!r} is upcast to {newest!r}, which no type is called: add "
                    f"the type with name={newest!r}"
                )
                raise ConfigurationError(msg)

    def __iter__(self) -> Iterator[tuple[type, Entry]]:
        return iter(self._entries.items())

    def message(self, event: Any, headers: dict[str, str]) -> Message:
        """
        Make the message of an event, or of a command that was posted.

        Args:
            event: An instance of `NotificationEvent`, `ECSTEvent` or `CommandPosted`.
            headers: What travels with it.

        Raises:
            EncodingError: Its key function returned something else than a text.

        """
        message_id: UUID | None
        if isinstance(event, CommandPosted):
            message_id, event = event.command_id, event.command
        else:
            # Whoever writes an `__init__` of their own may leave it out.
            try:
                message_id = event.event_id
            except AttributeError:
                message_id = None
        try:
            entry = self._published[event.__class__]
        except KeyError:
            entry = self._publish(event.__class__)
        return Message(
            message_type=entry.message_type,
            message_name=entry.name,
            message_id=message_id or uuid4(),
            payload=event,
            topic=entry.topic,
            key=None if entry.key is None else _key_of(event, entry.key),
            headers=headers,
        )

    def _versions(self, name: str) -> Iterator[str]:
        """Give what a name is upcast to, one version after the other."""
        while name in self._upcasters:
            name, _ = self._upcasters[name]
            yield name

    def _publish(self, message_type: type) -> Entry:
        entry = self.entry_of(message_type)
        self._published[message_type] = entry
        return entry


def _key_of(event: Any, function: Callable[[Any], object]) -> str | None:
    key = function(event)
    if key is None or isinstance(key, str):
        return key
    msg = (
        f"the key of {type(event).__name__} must be a str, or None, and its key= "
        f"returned {shortened(key)}, of the type {type(key).__name__}: have it return "
        "str(...) of that"
    )
    raise EncodingError(msg)


def _check_name(owner: Any, kind: str, name: str) -> None:
    if _NAME.fullmatch(name) is None:
        msg = (
            f"{qualified_name(owner)} cannot have the {kind} {name!r}: "
            "up to 200 letters, digits, dots, underscores and hyphens"
        )
        raise BindingError(msg)


def _both(name: str) -> str:
    return (
        f"{name!r} cannot be the name of a type and of an older version that is upcast "
        "to another: give the type the name of the newest version"
    )


def _entry(
    message_type: Any,
    *,
    name: str | None = None,
    topic: str | None = None,
    key: Callable[[Any], str] | None = None,
) -> Entry | None:
    kinds = {
        NotificationEvent: ("notification_event", EVENTS),
        ECSTEvent: ("ecst_event", EVENTS),
        Command: ("command", COMMANDS),
    }
    for base, (kind, usual_topic) in kinds.items():
        if isinstance(message_type, type) and issubclass(message_type, base):
            return Entry(
                message_type=kind,
                name=message_type.__name__ if name is None else name,
                topic=usual_topic if topic is None else topic,
                key=key,
            )
    return None
