"""The reference has every module that users import from, and says so of the others."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import diator

DOCS = Path(__file__).parents[2] / "docs"
DIRECTIVE = re.compile(
    r"^::: (\S+)(?:\n    options:\n      members: \[(.*)\])?", re.MULTILINE
)

# What users get objects of, and never import from.
INTERNAL = {
    "diator.cancellation",
    "diator.cli.contracts",
    "diator.cli.letters",
    "diator.cli.loading",
    "diator.cli.mermaid",
    "diator.cli.main",  # The command; its help is its reference.
    "diator.cli.page",
    "diator.cli.service",
    "diator.cli.showing",
    "diator.cli.start",
    "diator.cli.wiring",
    "diator.consumer.consumption",
    "diator.consumer.dispatch",
    "diator.consumer.failures",
    "diator.consumer.held",
    "diator.consumer.lanes",
    "diator.consumer.outages",
    "diator.consumer.retry",
    "diator.consumer.settings",
    "diator.consumer.settling",
    "diator.consumer.telling",
    "diator.contracts.comparison",
    "diator.contracts.definitions",
    "diator.contracts.faults",
    "diator.contracts.limits",
    "diator.contracts.merging",
    "diator.contracts.patterns",
    "diator.contracts.schemas",
    "diator.container.default",
    "diator.container.unregistered",
    "diator.container.foreign",
    "diator.container.injection",
    "diator.container.lagom_planning",
    "diator.container.plan",
    "diator.container.resources",
    "diator.description.layers",
    "diator.description.names",
    "diator.description.naming",
    "diator.description.needs",
    "diator.description.reading",
    "diator.description.source",
    "diator.events.cascade",
    "diator.events.message_brokers.batching",
    "diator.events.message_brokers.encoding",
    "diator.events.message_brokers.holding_back",
    "diator.events.message_brokers.memory_groups",
    "diator.events.message_brokers.redis_client",
    "diator.events.message_brokers.redis_connections",
    "diator.events.message_brokers.redis_exchange",
    "diator.events.message_brokers.redis_fetching",
    "diator.events.message_brokers.redis_pubsub",
    "diator.events.message_brokers.redis_replies",
    "diator.events.message_brokers.redis_requirements",
    "diator.events.message_brokers.redis_streams_agreement",
    "diator.events.message_brokers.redis_streams_appending",
    "diator.events.message_brokers.redis_streams_competing",
    "diator.events.message_brokers.redis_streams_dead_letters",
    "diator.events.message_brokers.redis_streams_entries",
    "diator.events.message_brokers.redis_streams_ordered",
    "diator.events.message_brokers.redis_streams_ownership",
    "diator.events.message_brokers.redis_streams_subscription",
    "diator.events.message_brokers.redis_streams_lag",
    "diator.events.message_brokers.redis_streams_trimming",
    "diator.events.sinks",
    "diator.handler",
    "diator.invocation",
    "diator.logger",
    "diator.messages.decoding",
    "diator.messages.envelope",
    "diator.messages.trace_context",
    "diator.messages.setting",
    "diator.middlewares.applying",
    "diator.middlewares.building",
    "diator.middlewares.rules",
    "diator.middlewares.transparency",
    "diator.outbox.batch",
    "diator.outbox.postgresql",
    "diator.outbox.session",
    "diator.outbox.sqlite",
    "diator.own_events",
    "diator.requests.pipeline",
    "diator.requests.stream",
    "diator.testing.container",
    "diator.testing.fields",
    "diator.wiring.building",
    "diator.wiring.chains",
    "diator.wiring.checking",
    "diator.wiring.finding",
    "diator.wiring.handlers",
    "diator.wiring.idle",
    "diator.wiring.leaving",
    "diator.wiring.parts",
}


def read_reference() -> dict[str, set[str]]:
    """Return the modules on the pages, with the members that alone are shown."""
    found: dict[str, set[str]] = {}
    for page in (DOCS / "reference").glob("*.md"):
        for module, members in DIRECTIVE.findall(page.read_text()):
            assert module not in found, f"{module} is shown twice"
            found[module] = set(members.split(", ")) - {""}
    return found


REFERENCE = read_reference()


def test_modules():
    """A module is on a page of the reference, or internal."""
    modules = {
        each.name
        for each in walk_packages(diator.__path__, "diator.")
        if not each.ispkg
    }

    assert modules - INTERNAL == set(REFERENCE)
    assert modules >= INTERNAL


@pytest.mark.parametrize("name", diator.__all__)
def test_names(name):
    """What the package offers by its first name is shown."""
    offered = getattr(diator, name)

    assert any(
        getattr(import_module(module), name, None) is offered
        for module, members in REFERENCE.items()
        if not members or name in members
    )


@pytest.mark.parametrize(
    "module", [module for module, members in REFERENCE.items() if members]
)
def test_members(module):
    """A member that a page asks for is there."""
    assert REFERENCE[module] <= set(dir(import_module(module)))
