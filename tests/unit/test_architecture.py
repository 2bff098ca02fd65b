"""
Where everything may be imported.

The package is read, not run: what a module imports at its top level decides what it
depends on. Imports for type checkers alone do not count where it is said so, and those
inside functions are how a default reaches a leaf without loading it for everybody.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import pytest

SPEC = find_spec("diator")
assert SPEC is not None
assert SPEC.origin is not None
SOURCE = Path(SPEC.origin).parent

# From the bottom up. A module imports from the levels below it, and from its own.
LEVELS = [
    # Messages, errors, and what tells a handler from other things.
    [
        "diator.exceptions",
        "diator.events.event",
        "diator.requests.request",
        "diator.response",
        "diator.handler",
    ],
    # Contracts, maps, the collector.
    [
        "diator.container.plan",
        "diator.container.protocol",
        "diator.container.injection",
        "diator.container.scope",
        "diator.container.resources",
        "diator.container.default",
        "diator.events.cascade",
        "diator.events.collector",
        "diator.events.event_handler",
        "diator.events.map",
        "diator.events.message_brokers.protocol",
        "diator.events.message_brokers.subscription",
        "diator.invocation",
        "diator.messages.dead_letters",
        "diator.messages.headers",
        "diator.messages.received",
        "diator.messages.registry",
        "diator.messages.setting",
        "diator.own_events",
        "diator.middlewares.applying",
        "diator.middlewares.base",
        "diator.middlewares.building",
        "diator.middlewares.roles",
        "diator.middlewares.rules",
        "diator.middlewares.transparency",
        "diator.requests.map",
        "diator.requests.request_handler",
    ],
    ["diator.events.sinks"],
    # The two pipelines.
    [
        "diator.events.event_emitter",
        "diator.requests.pipeline",
        "diator.requests.post",
        "diator.requests.stream",
    ],
    # What looks at both.
    [
        "diator.description.describing",
        "diator.description.layers",
        "diator.description.model",
        "diator.description.names",
        "diator.description.naming",
        "diator.description.needs",
        "diator.description.reading",
        "diator.description.source",
        "diator.wiring.building",
        "diator.wiring.chains",
        "diator.wiring.checking",
        "diator.wiring.finding",
        "diator.wiring.handlers",
        "diator.wiring.idle",
        "diator.wiring.leaving",
        "diator.wiring.parts",
    ],
    ["diator.mediator"],
    ["diator"],
]
LEVEL = {module: level for level, modules in enumerate(LEVELS) for module in modules}

# What nothing in the engine may import; each is loaded by who uses it.
LEAVES = [
    "diator.backoff",
    "diator.cancellation",
    "diator.cli.contracts",
    "diator.cli.letters",
    "diator.cli.loading",
    "diator.cli.main",
    "diator.cli.mermaid",
    "diator.cli.page",
    "diator.cli.service",
    "diator.cli.showing",
    "diator.cli.start",
    "diator.cli.wiring",
    "diator.contracts.comparison",
    "diator.contracts.compatibility",
    "diator.contracts.contract",
    "diator.contracts.definitions",
    "diator.contracts.faults",
    "diator.contracts.limits",
    "diator.contracts.merging",
    "diator.contracts.patterns",
    "diator.contracts.schemas",
    "diator.consumer.consumer",
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
    "diator.container.dependency_injector",
    "diator.container.dishka",
    "diator.container.foreign",
    "diator.container.lagom",
    "diator.container.lagom_planning",
    "diator.container.punq",
    "diator.container.rodi",
    "diator.container.svcs",
    "diator.container.unregistered",
    "diator.container.wireup",
    "diator.events.message_brokers.batching",
    "diator.events.message_brokers.encoding",
    "diator.events.message_brokers.holding_back",
    "diator.events.message_brokers.memory",
    "diator.events.message_brokers.memory_groups",
    "diator.events.message_brokers.redis",
    "diator.events.message_brokers.redis_client",
    "diator.events.message_brokers.redis_connections",
    "diator.events.message_brokers.redis_exchange",
    "diator.events.message_brokers.redis_fetching",
    "diator.events.message_brokers.redis_pubsub",
    "diator.events.message_brokers.redis_replies",
    "diator.events.message_brokers.redis_requirements",
    "diator.events.message_brokers.redis_streams",
    "diator.events.message_brokers.redis_streams_agreement",
    "diator.events.message_brokers.redis_streams_appending",
    "diator.events.message_brokers.redis_streams_competing",
    "diator.events.message_brokers.redis_streams_dead_letters",
    "diator.events.message_brokers.redis_streams_entries",
    "diator.events.message_brokers.redis_streams_lag",
    "diator.events.message_brokers.redis_streams_ordered",
    "diator.events.message_brokers.redis_streams_ownership",
    "diator.events.message_brokers.redis_streams_subscription",
    "diator.events.message_brokers.redis_streams_trimming",
    "diator.events.message_brokers.tracing",
    "diator.logger",
    "diator.messages.cloud_events",
    "diator.messages.decoding",
    "diator.messages.envelope",
    "diator.messages.trace_context",
    "diator.middlewares.authorisation",
    "diator.middlewares.caching",
    "diator.middlewares.concurrency_limit",
    "diator.middlewares.event_collection",
    "diator.middlewares.idempotency",
    "diator.middlewares.inbox",
    "diator.middlewares.logging",
    "diator.middlewares.opentelemetry",
    "diator.middlewares.outbox",
    "diator.middlewares.retry",
    "diator.middlewares.timeout",
    "diator.middlewares.transaction",
    "diator.middlewares.validation",
    "diator.outbox.batch",
    "diator.outbox.dead_letters",
    "diator.outbox.outbox",
    "diator.outbox.postgresql",
    "diator.outbox.relay",
    "diator.outbox.session",
    "diator.outbox.sqlite",
    "diator.outbox.tables",
    "diator.testing.broker",
    "diator.testing.clock",
    "diator.testing.conformance",
    "diator.testing.container",
    "diator.testing.fields",
    "diator.testing.harness",
    "diator.testing.timeline",
]

# Leaves that are the common part of others.
SHARED_BY_LEAVES = {
    "diator.backoff",
    "diator.cancellation",
    "diator.cli.contracts",
    "diator.cli.letters",
    "diator.cli.loading",
    "diator.cli.mermaid",
    "diator.cli.page",
    "diator.cli.service",
    "diator.cli.showing",
    "diator.cli.wiring",
    "diator.contracts.comparison",
    "diator.contracts.compatibility",
    "diator.contracts.contract",
    "diator.contracts.definitions",
    "diator.contracts.faults",
    "diator.contracts.limits",
    "diator.contracts.merging",
    "diator.contracts.patterns",
    "diator.contracts.schemas",
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
    "diator.container.foreign",
    # The harness clones it.
    "diator.container.lagom",
    "diator.container.lagom_planning",
    "diator.container.unregistered",
    "diator.events.message_brokers.batching",
    "diator.events.message_brokers.encoding",
    "diator.events.message_brokers.holding_back",
    "diator.events.message_brokers.memory",
    "diator.events.message_brokers.redis_client",
    "diator.events.message_brokers.redis_connections",
    "diator.events.message_brokers.redis_exchange",
    "diator.logger",
    "diator.messages.cloud_events",
    "diator.messages.decoding",
    "diator.messages.envelope",
    "diator.messages.trace_context",
    "diator.outbox.batch",
    "diator.outbox.outbox",
    "diator.outbox.postgresql",
    "diator.outbox.session",
    "diator.outbox.sqlite",
    "diator.outbox.tables",
    "diator.testing.broker",
    "diator.testing.container",
    "diator.testing.fields",
    "diator.testing.timeline",
}

# Adapters of several parts, whose names begin with theirs.
WHOLES = {
    "diator.events.message_brokers.memory",
    "diator.events.message_brokers.redis",
    "diator.events.message_brokers.redis_streams",
}

# A message of the wire is a Struct, because that is what encodes it.
THIRD_PARTY_IN_ENGINE = {
    ("diator.events.message_brokers.protocol", "msgspec"),
    ("diator.events.message_brokers.subscription", "msgspec"),
}


@cache
def modules() -> dict[str, Path]:
    """Give all modules, but for the `__init__` files that say nothing."""
    found: dict[str, Path] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = ["diator", *path.relative_to(SOURCE).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
            if parts != ["diator"]:
                continue
        found[".".join(parts)] = path
    return found


def imports(
    module: str, *, in_functions: bool = False, for_type_checkers: bool = False
) -> Iterator[str]:
    """Give what a module imports, as the names of modules."""
    tree = ast.parse(modules()[module].read_text())
    for node in walk(
        tree, in_functions=in_functions, for_type_checkers=for_type_checkers
    ):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            assert node.module is not None
            yield node.module


def walk(
    node: ast.AST, *, in_functions: bool, for_type_checkers: bool
) -> Iterator[ast.AST]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not in_functions:
        return
    skipped: list[ast.stmt] = []
    if (
        isinstance(node, ast.If)
        and ast.unparse(node.test) == "TYPE_CHECKING"
        and not for_type_checkers
    ):
        skipped = node.body
    yield node
    for child in ast.iter_child_nodes(node):
        if child not in skipped:
            yield from walk(
                child, in_functions=in_functions, for_type_checkers=for_type_checkers
            )


def engine() -> list[str]:
    return [module for module in modules() if module in LEVEL]


def is_ours(name: str) -> bool:
    return name.partition(".")[0] == "diator"


def is_third_party(name: str) -> bool:
    return not is_ours(name) and name.partition(".")[0] not in sys.stdlib_module_names


class TestArchitecture:
    def test_every_module_has_its_place(self):
        """Every module is either at a level of the engine or a leaf."""
        assert set(modules()) <= {*LEVEL, *LEAVES}
        assert not set(LEVEL) & set(LEAVES)

    @pytest.mark.parametrize("module", engine())
    def test_direction(self, module: str):
        """Imports go down, or stay at a level, and never go up."""
        above = [
            name
            for name in imports(module)
            if name in LEVEL and LEVEL[name] > LEVEL[module]
        ]

        assert above == []

    @pytest.mark.parametrize("module", engine())
    def test_nothing_imports_leaves(self, module: str):
        """No module of the engine imports a behaviour, a broker or an adapter."""
        assert [name for name in imports(module) if name in LEAVES] == []

    @pytest.mark.parametrize("module", engine())
    def test_third_party_in_leaves_only(self, module: str):
        """Packages of others are imported in leaves."""
        third_party = [
            name
            for name in imports(module)
            if is_third_party(name) and (module, name) not in THIRD_PARTY_IN_ENGINE
        ]

        assert third_party == []

    @pytest.mark.parametrize("module", [name for name in modules() if name in LEAVES])
    def test_leaves_do_not_import_each_other(self, module: str):
        """A leaf imports the engine, and of leaves what they have in common."""
        other_leaves = {
            name for name in imports(module) if name in LEAVES and name != module
        }

        parts = {
            name
            for name in other_leaves
            for whole in WHOLES
            if module.startswith(whole) and name.startswith(f"{whole}_")
        }
        assert other_leaves - parts <= SHARED_BY_LEAVES

    @pytest.mark.parametrize("module", modules())
    def test_defining_modules(self, module: str):
        """Inside the package the module that defines something is imported."""
        ours = {
            name
            for name in imports(module, in_functions=True, for_type_checkers=True)
            if is_ours(name)
        }

        assert ours <= set(modules()) - {"diator"}

    def test_no_cycles(self):
        """No module imports itself by way of others when the program runs."""
        graph = {
            module: [name for name in imports(module) if is_ours(name)]
            for module in modules()
        }
        try:
            order = list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            pytest.fail(" → ".join(error.args[1]))

        assert set(order) >= set(modules())


class TestImport:
    def test_light(self):
        """`import diator` loads neither extras nor what only some send needs."""
        heavy = [
            "redis",
            "structlog",
            "dishka",
            "dependency_injector",
            "punq",
            "rodi",
            "svcs",
            "wireup",
            "sqlalchemy",
            "pydantic",
            "lagom",
            "typer",
            "opentelemetry",
        ]
        program = (
            f"import sys; sys.path.insert(0, {str(SOURCE.parent)!r}); import diator; "
            f"print([name for name in {heavy} if name in sys.modules])"
        )

        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )

        assert run.stdout.strip() == "[]"

    def test_standard_library(self):
        """Of the standard library it takes little that asyncio and msgspec do not."""
        program = (
            f"import sys; sys.path.insert(0, {str(SOURCE.parent)!r}); "
            "import asyncio, msgspec; before = set(sys.modules); import diator; "
            "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
        )

        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )

        assert set(run.stdout.split()) <= {"diator", "dataclasses", "copy"}

    def test_public_names(self):
        """All that is public is there, and `__all__` is in order."""
        import diator

        assert sorted(diator.__all__, key=str.casefold) == sorted(
            set(diator.__all__), key=str.casefold
        )
        for name in diator.__all__:
            assert getattr(diator, name).__module__.startswith("diator.") or name == (
                "Handle"
            )

    @pytest.mark.parametrize("module", modules())
    def test_alone(self, module: str):
        """Each module can be the first that is imported."""
        program = (
            f"import sys; sys.path.insert(0, {str(SOURCE.parent)!r}); import {module}"
        )

        # svcs loads FastAPI where it is installed, which tells its developers this.
        ignored = ["-W", "ignore::UserWarning:fastapi.testclient"]
        run = subprocess.run(
            [sys.executable, *ignored, "-c", program],
            capture_output=True,
            text=True,
            check=False,
        )

        assert run.stderr == ""
