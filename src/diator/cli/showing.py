"""Show what a mediator is made of to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from rich.tree import Tree

from diator.description.model import Event, Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, RenderableType

    from diator.description.model import (
        Description,
        Handler,
        Layer,
        Need,
        Place,
        Raise,
        Send,
    )

NAME = "bold"
LESS = "dim"
GUESS = "italic"
WRONG = "red"

SENT = {"send": "sent", "stream": "streamed", "post": "posted"}

ENDLESS = 10_000
"""How wide it is where nobody looks: no name is folded, and `grep` finds it."""


def show(console: Console, shown: Iterable[RenderableType]) -> None:
    """Print some parts, in lines as long as it takes where no terminal folds them."""
    if not console.is_terminal:
        console.width = ENDLESS
    for part in shown:
        console.print(part, highlight=False)


def overview(description: Description) -> Iterator[RenderableType]:
    """Give all requests and events, a few lines for each."""
    yield Text(
        f"{counted(description.requests, 'request')}, "
        f"{counted(description.events, 'event')}"
    )
    yield Text(f"container: {description.container}")
    broker = description.broker or "none"
    yield Text(f"message broker: {broker}{told_in_memory(description)}")
    reception = description.reception
    if reception is not None:
        topics = ", ".join(reception.topics) or "none"
        yield Text(
            f"receives from {reception.broker}, group {reception.group}, "
            f"topics {topics}"
        )
    if description.findings:
        number = len(description.findings)
        yield Text(f"wiring errors: {number}, see `diator check`", style=WRONG)
    for told, messages in (
        ("Requests", description.requests),
        ("Events", description.events),
    ):
        if messages:
            yield Text()
            yield _chain(f"Middlewares around {told.lower()}", messages[0].middlewares)
        for module in sorted({message.module for message in messages}):
            yield Text()
            tree = Tree(Text(f"{told} of {module}", style=NAME))
            for message in messages:
                if message.module == module:
                    _add_brief(tree, description, message)
            yield tree


def explanation(
    description: Description, message: Request | Event
) -> Iterator[RenderableType]:
    """Give what a message goes through, step by step, and why."""
    fields = ", ".join(
        f"{each.name}: {each.type}{'' if each.required else ' = ...'}"
        for each in message.fields
    )
    answer = f" → {message.answer}" if isinstance(message, Request) else ""
    yield _line((message.name, NAME), f"({fields}){answer}")
    yield _line((f"{message.kind}, {told_place(message.place)}", LESS))
    if message.summary:
        yield Text(message.summary)
    yield from _receptions(description, message)
    for origin, how in _origins(description, message):
        yield _line(f"{how} by ", (origin, NAME))
    for number, finding in description.findings_about(message):
        yield Text(f"wiring error {number}: {finding.text}", style=WRONG)
    yield Text()
    if isinstance(message, Request):
        yield from _steps(description, message)
    else:
        yield _handling(description, message, "")


def _steps(description: Description, request: Request) -> Iterator[RenderableType]:
    steps = Tree(Text("What runs, from the outside in", style=NAME))
    _add_layers(steps, request.middlewares)
    if request.handler is None:
        steps.add(_no_handler(description, request))
        yield steps
        return
    _add_handler(steps, request.handler)
    yield steps
    events = {each.id: each for each in description.events}
    waiting = [events[each.event] for each in request.handler.raises]
    within = any("domain events" in each.roles for each in _applying(request))
    if waiting:
        yield Text()
        yield Text("What becomes of its events", style=NAME)
    # What handlers raise comes after what is waiting already.
    for event in waiting:
        yield _handling(description, event, _when(event, within=within))
        for subscription in event.handlers:
            waiting += [
                events[each.event]
                for each in subscription.handler.raises
                if events[each.event] not in waiting
            ]


def _when(event: Event, *, within: bool) -> str:
    if event.delivery == ("outbox",):
        return ", written into the outbox, and handled where it is consumed"
    if within and event.wire is None:
        return ", before the middleware for domain events ends"
    return ", when the outermost send has succeeded"


def _handling(description: Description, event: Event, when: str) -> Tree:
    tree = Tree(_line((event.name, NAME), f"  {event.kind}{when}"))
    _add_layers(tree, event.middlewares)
    _add_subscriptions(tree, event)
    for line in _deliveries(description, event):
        tree.add(line)
    return tree


def _add_brief(tree: Tree, description: Description, message: Request | Event) -> None:
    """Add a message with who handles it, and what comes of it."""
    answer = f" → {message.answer}" if isinstance(message, Request) else ""
    place = told_place(message.place)
    branch = tree.add(
        _line((message.name, NAME), f"{answer}  {message.kind}", (f"  {place}", LESS))
    )
    if message.summary:
        branch.add(Text(message.summary, style=LESS))
    for number, _ in description.findings_about(message):
        branch.add(Text(f"wiring error {number}, see `diator check`", style=WRONG))
    for line in _receptions(description, message):
        branch.add(line)
    through = [each.name for each in _applying(message)]
    if len(through) < len(message.middlewares):
        branch.add(Text(f"through {', '.join(through) or 'no middleware'}"))
    if isinstance(message, Event):
        _add_subscriptions(branch, message)
        for line in _deliveries(description, message):
            branch.add(line)
        if not (description.raisers(message) or description.received(message)):
            branch.add(Text("no handler is seen to raise it", style=LESS))
    elif message.handler is None:
        branch.add(_no_handler(description, message))
    else:
        _add_handler(branch, message.handler)


def _no_handler(description: Description, request: Request) -> Text:
    # Whether what something is wrong with is handled elsewhere, nobody knows.
    is_wrong = bool(description.findings_about(request))
    told = "no handler here" if is_wrong else "no handler here: it is handled elsewhere"
    return Text(told, style=LESS)


def _add_subscriptions(tree: Tree, event: Event) -> None:
    for subscription in event.handlers:
        notes: list[str] = []
        if subscription.concurrent:
            notes.append("concurrent")
        if subscription.bound_to != event.id:
            notes.append(f"bound to {_short(subscription.bound_to)}")
        _add_handler(tree, subscription.handler, ", ".join(notes))
    if not event.handlers:
        tree.add(Text("no handler here", style=LESS))


def _add_handler(tree: Tree, handler: Handler, note: str = "") -> None:
    branch = tree.add(
        _line(
            "handled by ",
            (handler.name, NAME),
            f"  {note}" if note else "",
            (f"  {told_place(handler.place)}", LESS),
        )
    )
    for need in handler.needs:
        _add_need(branch, need)
    for raised in handler.raises:
        branch.add(_effect("raises", _short(raised.event), raised))
    for sent in handler.sends:
        branch.add(_effect(f"{sent.how}s", _short(sent.request), sent))
    for sentence in handler.unknown:
        branch.add(Text(f"unknown: {sentence}", style=GUESS))


def _add_need(tree: Tree, need: Need) -> None:
    if need.building == "default" and not need.needs:
        return
    told = {
        "registered": "registered",
        "class": "built from its class",
        "default": "keeps its default",
        "missing": f"missing: {need.problem}",
    }[need.building]
    if need.built_as is not None:
        told = f"{told} as {need.built_as}"
    style = WRONG if need.building == "missing" else LESS
    branch = tree.add(_line(f"needs {need.parameter}: {need.type}  ", (told, style)))
    for inner in need.needs:
        _add_need(branch, inner)


def _effect(verb: str, name: str, found: Raise | Send) -> Text:
    if found.certainty == "seen":
        return _line(f"{verb} ", (name, NAME), (f"  line {found.place.line}", LESS))
    return _line(
        f"{verb} ",
        (name, NAME),
        (f"  a guess, by {found.via}, {told_place(found.place)}", GUESS),
    )


def _add_layers(tree: Tree, layers: Sequence[Layer]) -> None:
    """Add the middlewares, numbered from the outermost on."""
    for number, layer in enumerate(layers, 1):
        if layer.applies:
            roles = f"  [{', '.join(layer.roles)}]" if layer.roles else ""
            told = f"{number}. "
            tree.add(
                _line(told, (layer.name, NAME), roles, (f"  {layer.reason}", LESS))
            )
        else:
            tree.add(_line((f"{number}. not {layer.name}  {layer.reason}", LESS)))


def _chain(title: str, layers: Sequence[Layer]) -> RenderableType:
    if not layers:
        return Text(f"{title}: none", style=NAME)
    tree = Tree(Text(f"{title}, from the outside in", style=NAME))
    for number, layer in enumerate(layers, 1):
        roles = f"  [{', '.join(layer.roles)}]" if layer.roles else ""
        only = f"  {layer.only}" if layer.only else ""
        built = "  built by the container" if layer.built else ""
        told = f"{number}. {layer.name}"
        tree.add(_line(told, roles, (f"{only}{built}", LESS)))
    return tree


def _deliveries(description: Description, event: Event) -> Iterator[Text]:
    if event.wire is None:
        return
    told = f"as {event.wire.name} on the topic {event.wire.topic}"
    if event.wire.keyed:
        told += ", in order by its key"
    for delivery in event.delivery:
        if delivery == "outbox":
            way = "leaves by the outbox, by a relay"
        elif description.in_memory:
            way = f"stays in this process, by {description.broker}"
        else:
            way = f"leaves by {description.broker}"
        yield _line(f"{way}, {told}")
    is_raised = description.raisers(event) or not description.received(event)
    if is_raised and not event.delivery:
        yield Text("cannot leave: there is no message broker", style=WRONG)


def _receptions(description: Description, message: Request | Event) -> Iterator[Text]:
    reception = description.received(message)
    if reception is not None and message.wire is not None:
        yield Text(f"received from {reception.broker}, topic {message.wire.topic}")


def _origins(
    description: Description, message: Request | Event
) -> Iterator[tuple[str, str]]:
    """Give the messages whose handlers raise or send one, and which of both it is."""
    found = (
        [
            (origin, SENT[sent.how], sent.certainty)
            for origin, sent in description.senders(message)
        ]
        if isinstance(message, Request)
        else [
            (origin, "raised", raised.certainty)
            for origin, raised in description.raisers(message)
        ]
    )
    for origin, how, certainty in found:
        guess = " (a guess)" if certainty == "guess" else ""
        yield f"{origin.name}{guess}", how


def _applying(message: Request | Event) -> list[Layer]:
    return [layer for layer in message.middlewares if layer.applies]


def told_place(place: Place) -> str:
    """Give a place as editors and terminals open it."""
    if place.file is None:
        return f"{place.module}, without source"
    return place.file if place.line is None else f"{place.file}:{place.line}"


def _short(message_id: str) -> str:
    return message_id.partition(":")[2].rpartition(".")[2]


def told_in_memory(description: Description) -> str:
    """Give what to add to the name of the broker, if nothing leaves by it."""
    return ", in this process" if description.in_memory else ""


def counted(things: Sequence[object], noun: str) -> str:
    """Give how many there are, in words."""
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def _line(*parts: str | tuple[str, str]) -> Text:
    return Text.assemble(*parts)
