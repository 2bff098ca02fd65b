"""What is worth another attempt."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

from diator.consumer.failures import causes
from diator.consumer.telling import tell
from diator.exceptions import DecodingError, DiatorError, UnknownMessageError

UNREACHABLE = {errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH}
"""How the operating system says that there is no way to a host."""

AWAY = ("08", "57P", "53300")
"""
How PostgreSQL's codes begin where it does not answer, ends, or has no connection left.

See appendix A of its manual.
"""


def is_transient(error: Exception) -> bool:
    """
    Tell a passing failure from a lasting one, as well as that can be done in general.

    Errors of diator itself (a request that is not valid, a handler that is missing or
    cannot be built) are lasting: they come again each time. All others may pass.
    """
    return not isinstance(error, DiatorError)


def is_worthwhile(
    failure: BaseException, is_transient: Callable[[Exception], bool]
) -> bool:
    """
    Tell whether another attempt may do better.

    Args:
        failure: What the last one failed by.
        is_transient: Tells a passing error from a lasting one; one lasting error among
            many is enough.

    """
    return all(_may_pass(cause, is_transient) for cause in causes(failure))


def is_outage(failure: BaseException) -> bool:
    """
    Tell whether a failure says that something is out of reach, such as a database.

    Whether it is the message's fault all the same, nobody can tell by it alone.
    """
    return any(map(_is_out_of_reach, causes(failure)))


def _is_out_of_reach(cause: BaseException) -> bool:
    if isinstance(cause, OSError):
        return (
            isinstance(cause, (ConnectionError, socket.gaierror))
            or cause.errno in UNREACHABLE
        )
    # SQLAlchemy need not be installed. Its errors have those of the driver with them.
    names = {of_type.__name__ for of_type in type(cause).__mro__}
    driver: Any = getattr(cause, "orig", None)
    if "DBAPIError" not in names or driver is None:
        return False
    code = getattr(driver, "sqlstate", None)
    if code is not None:
        return str(code).startswith(AWAY)
    if type(driver).__module__.startswith("sqlite3"):
        # It is a file, and what fails there may be anything.
        return False
    # Without a code, it does not come from the server.
    return bool(names & {"InterfaceError", "OperationalError"})


def _may_pass(cause: BaseException, is_transient: Callable[[Exception], bool]) -> bool:
    if isinstance(cause, (DecodingError, UnknownMessageError)):
        return False
    # What is no `Exception` may be anything, a cancellation of the handler's, say.
    if not isinstance(cause, Exception):
        return True
    try:
        return is_transient(cause)
    except Exception as error:  # noqa: BLE001  # nothing must end the consumer
        tell("error", "is_transient failed", error=type(error).__name__)
        return True
