"""What `Mediator.check` looks for: all that would fail later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diator.exceptions import ConfigurationError
from diator.wiring.building import unbuildable
from diator.wiring.chains import chain_errors
from diator.wiring.finding import Finding
from diator.wiring.handlers import missing_handlers
from diator.wiring.idle import idle
from diator.wiring.leaving import kept_in_memory, missing_broker, past_the_outbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diator.wiring.parts import Parts


def findings(parts: Parts) -> list[Finding]:
    """Give everything that is wrong, in the order of a send."""
    return [
        *missing_handlers(parts),
        *chain_errors(parts),
        *idle(parts),
        *unbuildable(parts),
        *missing_broker(parts),
        *kept_in_memory(parts),
        *past_the_outbox(parts),
        *_lost_versions(parts),
    ]


def _lost_versions(parts: Parts) -> Iterator[Finding]:
    """Find the older versions of messages that lead to none."""
    try:
        parts.emitter.registry.check()
    except ConfigurationError as error:
        yield Finding(error, [])
