"""Where the lines of diator's own logger go."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
import structlog

from diator.logger import get_logger, is_enabled


class Records(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class SimpleLogger:
    """Knows no levels, and takes every method it lacks for a level of its own."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __getattr__(self, level: str) -> object:
        if level == "isEnabledFor":
            raise AttributeError(level)
        return self.lines.append


@pytest.fixture(autouse=True)
def _unconfigured():
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


@pytest.fixture
def standard(monkeypatch):
    """The logger `diator`, out of reach of the handlers that pytest brings."""
    logger = logging.getLogger("diator")
    monkeypatch.setattr(logger, "parent", None)
    # To whatever level, setting it makes the logger forget what it knows of levels.
    logger.setLevel(logging.NOTSET)
    yield logger
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def records(standard):
    handler = Records()
    standard.addHandler(handler)
    yield handler.records
    standard.removeHandler(handler)


class TestWithoutConfiguration:
    def test_import(self):
        """Nobody's logging is configured by having diator."""
        program = """
import logging
import structlog
import diator.logger, diator.middlewares.logging

assert not structlog.is_configured()
assert logging.getLogger().handlers == []
assert logging.getLogger("diator").handlers == []
assert logging.getLogger("diator").level == logging.NOTSET
"""
        subprocess.run([sys.executable, "-c", program], check=True)

    def test_silence(self, standard, capsys):
        """Without a handler nothing is printed, not even an error."""
        standard.error("The standard library prints this.")
        assert capsys.readouterr().err

        get_logger().error("failed")

        assert capsys.readouterr() == ("", "")

    def test_handler(self, records):
        """Once the application gives the logger a handler, it has the lines."""
        get_logger().error("failed", attempts=2)

        [record] = records
        assert (record.name, record.levelname) == ("diator", "ERROR")
        assert record.getMessage() == "failed attempts=2"
        assert record.diator == {"attempts": 2}

    def test_handler_above(self):
        """A handler of the root logger has the lines as well."""
        handler = Records()
        logging.getLogger().addHandler(handler)
        try:
            get_logger().error("failed")
        finally:
            logging.getLogger().removeHandler(handler)

        assert [record.getMessage() for record in handler.records] == ["failed"]

    def test_context_variables(self, records):
        """What is bound as context variables is in the line."""
        with structlog.contextvars.bound_contextvars(correlation_id="c1"):
            get_logger().error("failed")

        assert records[0].getMessage() == "failed correlation_id='c1'"

    def test_exception(self, records):
        """An exception comes with the record, for formatters to show."""
        error = ValueError("wrong")

        get_logger().error("failed", exc_info=error)

        assert records[0].exc_info == (ValueError, error, None)
        assert records[0].getMessage() == "failed"

    def test_reserved_name(self, records):
        """A field may have the name of an attribute that every record has."""
        get_logger().error("failed", name="a", message="b", args="c")

        assert records[0].diator == {"name": "a", "message": "b", "args": "c"}

    def test_percent_sign(self, records):
        """Nothing is interpolated into a line."""
        get_logger().error("100%s failed")

        assert records[0].getMessage() == "100%s failed"

    def test_level(self, records, standard):
        """The level of the logger decides."""
        standard.setLevel(logging.WARNING)

        get_logger().info("answered")
        get_logger().warning("failed")

        assert [record.getMessage() for record in records] == ["failed"]


class TestWithConfiguration:
    def test_structlog(self, records):
        """A configured structlog has the lines, and nobody else."""
        lines = structlog.testing.LogCapture()
        structlog.configure(processors=[lines])

        get_logger().error("failed", attempts=2)

        assert lines.entries == [
            {"event": "failed", "attempts": 2, "log_level": "error"}
        ]
        assert records == []

    def test_configured_anew(self):
        """What is configured at the time of the line is used."""
        structlog.configure(processors=[structlog.testing.LogCapture()])
        get_logger().error("failed")
        lines = structlog.testing.LogCapture()
        structlog.configure(processors=[lines])

        get_logger().error("failed again")

        assert [line["event"] for line in lines.entries] == ["failed again"]

    def test_name(self):
        """The application's factory of loggers is told the name."""
        names: list[str] = []

        def factory(*args):
            names.extend(args)
            return structlog.PrintLogger()

        structlog.configure(logger_factory=factory)
        get_logger()

        assert names == ["diator"]


class TestIsEnabled:
    def test_no_handler(self, standard):
        """Without a handler no level is enabled."""
        assert not is_enabled(get_logger(), logging.CRITICAL)

    def test_handler(self, records, standard):
        """With one, the level of the logger decides."""
        standard.setLevel(logging.WARNING)

        assert is_enabled(get_logger(), logging.WARNING)
        assert not is_enabled(get_logger(), logging.INFO)

    def test_filtering_logger(self):
        """The level that structlog filters at decides."""
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING)
        )

        assert is_enabled(get_logger(), logging.WARNING)
        assert not is_enabled(get_logger(), logging.INFO)

    def test_standard_logger(self, standard):
        """The level of a standard logger behind structlog decides."""
        standard.setLevel(logging.WARNING)
        structlog.configure(
            wrapper_class=structlog.stdlib.BoundLogger,
            logger_factory=structlog.stdlib.LoggerFactory(),
        )

        assert is_enabled(get_logger(), logging.WARNING)
        assert not is_enabled(get_logger(), logging.INFO)

    @pytest.mark.parametrize(
        "wrapper", [structlog.BoundLogger, structlog.stdlib.BoundLogger]
    )
    def test_unknown(self, wrapper):
        """Where there is no telling, a line might be written, and asking does not."""
        logger = SimpleLogger()
        structlog.configure(wrapper_class=wrapper, logger_factory=lambda *_: logger)

        assert is_enabled(get_logger(), logging.DEBUG)
        assert logger.lines == []
