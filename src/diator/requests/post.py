"""Have a command handled later, perhaps by another process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from diator.events.collector import collect
from diator.events.event import CommandPosted
from diator.requests.request import Command


@dataclass(frozen=True, kw_only=True)
class PostCommand(Command[UUID]):
    """
    Asks for a command to be posted: what `Mediator.post` sends through the chain.

    Attributes:
        command: The command.

    """

    command: Command[Any]


async def post_command(request: PostCommand) -> UUID:
    """Let the command leave with the events of the send, and give its id."""
    posted = CommandPosted(command=request.command)
    collect(posted)
    return posted.command_id
