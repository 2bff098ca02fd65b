"""What is worth another attempt."""

from __future__ import annotations

import errno
import socket
import sqlite3
from typing import Any

import pytest
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)

from diator.consumer.retry import is_outage, is_transient
from diator.exceptions import DecodingError, EventsError, ValidationError


class TestIsTransient:
    def test_default(self):
        """Errors of diator come again, others may pass."""
        assert is_transient(ConnectionError())
        assert is_transient(KeyError())
        assert not is_transient(ValidationError("it", []))
        assert not is_transient(DecodingError())


class DriverError(Exception):
    """An error of a driver for PostgreSQL, with the server's code if it has one."""

    def __init__(self, sqlstate: str | None = None) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


def of_sqlalchemy(error_type: Any, driver: BaseException) -> BaseException:
    error: BaseException = error_type("", {}, driver)
    return error


class TestIsOutage:
    @pytest.mark.parametrize(
        "error",
        [
            ConnectionRefusedError(),
            socket.gaierror(),
            OSError(errno.EHOSTUNREACH, "no route"),
            of_sqlalchemy(OperationalError, DriverError()),
            of_sqlalchemy(InterfaceError, DriverError()),
            of_sqlalchemy(OperationalError, DriverError("08006")),
            # As by asyncpg, when the server shuts down.
            of_sqlalchemy(DBAPIError, DriverError("57P01")),
            EventsError("", [KeyError(), ConnectionError()]),
        ],
    )
    def test_out_of_reach(self, error: BaseException):
        """Something that cannot be reached is an outage, also among other failures."""
        assert is_outage(error)

    @pytest.mark.parametrize(
        "error",
        [
            KeyError(),
            TimeoutError(),
            FileNotFoundError(errno.ENOENT, "no file"),
            of_sqlalchemy(ProgrammingError, DriverError()),
            # A deadlock, and a statement that took too long.
            of_sqlalchemy(OperationalError, DriverError("40P01")),
            of_sqlalchemy(OperationalError, DriverError("57014")),
            of_sqlalchemy(OperationalError, sqlite3.OperationalError("no such table")),
        ],
    )
    def test_others(self, error: BaseException):
        """Everything else may be about the message."""
        assert not is_outage(error)
