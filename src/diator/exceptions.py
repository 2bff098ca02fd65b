"""Every error of diator, so that one import is enough to catch them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class DiatorError(Exception):
    """The base class of every error that diator raises on its own account."""


class ConfigurationError(DiatorError, ValueError):
    """A setting that cannot work, such as a channel prefix with spaces in it."""


class BindingError(DiatorError, TypeError):
    """A handler or a middleware that cannot do what it is bound to."""


class InUseError(DiatorError, RuntimeError):
    """What is at work and cannot be changed any more, or be started once more."""


class NotAMessageError(DiatorError, TypeError):
    """Something else than an instance of a request, or of an event, was given."""


class HandlerNotFoundError(DiatorError, LookupError):
    """A request was sent whose type has no handler."""


class UnresolvableError(DiatorError, LookupError):
    """
    A dependency that the container cannot build.

    Args:
        problems: Why, one for each parameter that cannot be supplied, here or further
            inside.

    """

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it cannot be built, each with the way to its parameter."""
        return self.args

    def __str__(self) -> str:
        return "\n".join(self.problems)


class NoSendError(DiatorError, RuntimeError):
    """An event was raised, or a scope asked for, where no send is running."""


class EncodingError(DiatorError, ValueError):
    """An event with a field, or a key, that has no form on the wire."""


class TopicUnavailableError(DiatorError, ConnectionError):
    """A topic that takes no messages until it is set up otherwise; others may."""


class DecodingError(DiatorError, ValueError):
    """A received message that is not what the type with its name looks like."""


class UnknownMessageError(DiatorError, LookupError):
    """A received message whose name no type in the registry has."""


class DeadLetterNotFoundError(DiatorError, LookupError):
    """No message that was put aside has this id, or has it any more."""


class ValidationError(DiatorError, ValueError):
    """
    A request that breaks its own rules.

    Attributes:
        request: The request that was refused.
        findings: What is wrong, each a path to a field (empty where the request as
            a whole is meant) and a sentence.

    """

    def __init__(self, request: object, findings: Sequence[tuple[str, str]]) -> None:
        self.request = request
        self.findings = tuple(findings)
        told = "; ".join(
            f"{path}: {finding}" if path else finding for path, finding in findings
        )
        super().__init__(f"{type(request).__name__} is not valid: {told}")

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.request, self.findings)


class AuthorisationError(DiatorError, PermissionError):
    """
    A request that the caller may not send.

    Attributes:
        request: The request that was refused; of one to post a command, the command.
        reason: Why, in the words of the policy.

    """

    def __init__(self, request: object, reason: str) -> None:
        self.request = request
        self.reason = reason
        super().__init__(f"{type(request).__name__} is not allowed: {reason}")

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.request, self.reason)


class DeadlineExceededError(DiatorError, TimeoutError):
    """
    A request, or an event, that was not handled in time.

    Attributes:
        request: The request, or the event, whose deadline it was.
        seconds: How long it might take.

    """

    def __init__(self, request: object, seconds: float) -> None:
        self.request = request
        self.seconds = seconds
        super().__init__(f"{type(request).__name__} took longer than {seconds:g} s")

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.request, self.seconds)


class IdempotencyError(DiatorError, ValueError):
    """
    A request under a key that another one, with other fields, has.

    Attributes:
        request: The request that was refused.
        key: The key.

    """

    def __init__(self, request: object, key: str) -> None:
        self.request = request
        self.key = key
        super().__init__(
            f"{type(request).__name__} has the key {key!r} of an earlier one with "
            "other fields: a key is for one request and its repetitions"
        )

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.request, self.key)


class ConcurrencyLimitError(DiatorError, RuntimeError):
    """
    A request, or an event, that came when too many others were waiting.

    Attributes:
        request: The request, or the event, that was refused.
        limit: How many are handled at once.
        waiting: How many may wait.

    """

    def __init__(self, request: object, limit: int, waiting: int) -> None:
        self.request = request
        self.limit = limit
        self.waiting = waiting
        super().__init__(
            f"{type(request).__name__} was refused: {limit} are being handled and "
            f"{waiting} are waiting, as many as may"
        )

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.request, self.limit, self.waiting)


class EventError(DiatorError):
    """
    What became of one event: the base of the members of an `EventsError`.

    The failure itself is its `__cause__`, where there is one.

    Attributes:
        event: The event that could not be dealt with.

    """

    def __init__(self, event: object, message: str) -> None:
        self.event = event
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)


class EventHandlingError(EventError):
    """
    A handler that failed at an event.

    Attributes:
        event: The event.
        handler: The handler's class or function.

    """

    def __init__(self, event: object, handler: Any) -> None:
        self.handler = handler
        super().__init__(
            event,
            f"{getattr(handler, '__qualname__', handler)} failed at "
            f"{type(event).__name__}",
        )


class EventPublishingError(EventError):
    """
    A broker that did not take an event.

    Attributes:
        event: The event.
        broker: The message broker, None where there is none.

    """

    def __init__(self, event: object, broker: object, reason: str) -> None:
        self.broker = broker
        by = "" if broker is None else f" by {type(broker).__name__}"
        super().__init__(
            event,
            f"{type(event).__name__} was not published{by}: {reason}",
        )


class CascadeError(EventError):
    """
    An event that keeps on raising itself, directly or through others.

    Attributes:
        event: The event that was not emitted any more.
        cycle: The types of the events of the cycle, beginning and ending alike.

    """

    def __init__(self, event: object, cycle: Sequence[type]) -> None:
        self.cycle = tuple(cycle)
        path = " → ".join(event_type.__name__ for event_type in cycle)
        super().__init__(
            event, f"event handlers raise each other's events without end: {path}"
        )


class EventsError(DiatorError, ExceptionGroup[EventError]):
    """
    Events of a request that was handled could not be dealt with, all in one.

    Attributes:
        response: The answer to the request, which is valid: the request was handled.
        exceptions: An `EventError` for each failure, naming event and handler.
        request: The request, where what it changed stays; None where that depends on
            the handling of the events, and where there was none.
        event: The event that all failures are about, in a middleware around events.

    """

    response: Any = None
    request: object = None
    event: object = None

    def derive(self, excs: Sequence[EventError]) -> EventsError:  # type: ignore[override]  # narrower: the members are ours
        """Keep the answer when `except*` or `split` takes the group apart."""
        group = EventsError(self.message, excs)
        group.response = self.response
        group.request = self.request
        return group


class WiringError(DiatorError, ExceptionGroup[DiatorError]):
    """Everything that `Mediator.check` found, all at once."""

    def derive(self, excs: Sequence[DiatorError]) -> WiringError:  # type: ignore[override]  # narrower: the members are ours
        """Stay a `WiringError` when `except*` or `split` takes the group apart."""
        return WiringError(self.message, excs)


def _restore(
    error_type: type[EventError], args: tuple[object, ...], state: dict[str, object]
) -> EventError:
    error = error_type.__new__(error_type, *args)
    error.__dict__.update(state)
    return error
