"""Commands that are handled later."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from diator import Command, Mediator
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.exceptions import NotAMessageError
from diator.requests.post import PostCommand


@dataclass(frozen=True, kw_only=True)
class OpenRoom(Command):
    name: str


class TestPost:
    async def test_published(self):
        """A command leaves for the broker under the id that is returned."""
        broker = InMemoryMessageBroker()
        command = OpenRoom(name="attic")

        command_id = await Mediator(message_broker=broker).post(command)

        [message] = broker.messages
        assert message.message_id == command_id
        assert message.payload is command
        assert (message.message_type, message.topic) == ("command", "commands")

    async def test_only_success_counts(self):
        """A command that a failing send has posted does not leave."""
        broker = InMemoryMessageBroker()
        mediator = Mediator(message_broker=broker)

        @mediator.handles(OpenRoom)
        async def open_room(request: OpenRoom) -> None:
            await mediator.post(OpenRoom(name="cellar"))
            raise PermissionError

        with pytest.raises(PermissionError):
            await mediator.send(OpenRoom(name="attic"))

        assert broker.messages == []

    async def test_chain(self):
        """Posting goes through the middlewares, as a command of its own."""
        mediator = Mediator()
        seen = []

        async def see(request, handle):
            seen.append(request)
            return await handle(request)

        mediator.use(see, only=Command)
        await mediator.post(OpenRoom(name="attic"))

        assert seen == [PostCommand(command=OpenRoom(name="attic"))]

    async def test_no_command(self):
        """Only commands can be posted."""
        with pytest.raises(NotAMessageError, match=r"derives from diator\.Command"):
            await Mediator().post("no command")
