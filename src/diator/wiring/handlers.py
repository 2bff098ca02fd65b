"""Which requests lack a handler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diator.exceptions import HandlerNotFoundError
from diator.requests.request import Request, StreamRequest
from diator.wiring.finding import Finding
from diator.wiring.parts import declared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diator.wiring.parts import Parts


def missing_handlers(parts: Parts) -> Iterator[Finding]:
    """
    Find the requests that this program is to handle, and has no handler for.

    They are those that its handlers send; and those beside one that it handles,
    unless their module is shared with other programs, which handle theirs.
    """
    missing = _sent(parts)
    for beside in _unhandled(parts, parts.bound_modules() - parts.shared_modules()):
        why = (
            f"others of {beside.__module__} are bound here; if another program "
            "handles it, declare it in a module of its own, or add what goes "
            "between the programs to the registry"
        )
        missing.setdefault(beside, why)
    for request_type, why in missing.items():
        try:
            parts.request_map.get(request_type)
        except HandlerNotFoundError as error:
            msg = f"{error}; {why}"
            yield Finding(HandlerNotFoundError(msg), [request_type])


def not_judged(parts: Parts) -> list[type]:
    """
    Give the requests without a handler that another program may handle.

    They stand beside one that this program handles, in a module that it shares.
    """
    shared = parts.bound_modules() & parts.shared_modules()
    sent = _sent(parts) if shared else {}
    return [each for each in _unhandled(parts, shared) if each not in sent]


def _sent(parts: Parts) -> dict[type, str]:
    """Give the requests that handlers plainly send, and which does."""
    found: dict[type, str] = {}
    for _, handler, _ in parts.uses():
        for request_type, sent in parts.reader.sent(handler):
            if sent.certainty == "seen" and sent.how != "post":
                place = f"{sent.place.file}:{sent.place.line}"
                found.setdefault(request_type, f"{sent.via} sends it ({place})")
    return found


def _unhandled(parts: Parts, modules: set[str]) -> list[type]:
    """Give the requests of modules without a handler, but for those that are posted."""
    found = [
        each
        for each in declared(modules, (Request, StreamRequest))
        # A class that others derive from is a base that is not sent itself.
        if each not in parts.request_map and not each.__subclasses__()
    ]
    if found:
        # The source of all that handlers call is read for this alone.
        posted = {
            request_type
            for _, handler, _ in parts.uses()
            for request_type, sent in parts.reader.sent(handler, deep=True)
            if sent.how == "post"
        }
        found = [each for each in found if each not in posted]
    return found
