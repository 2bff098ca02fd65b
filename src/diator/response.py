"""What a request is answered with."""

from __future__ import annotations


class Response:
    """
    A marker for answers.

    Nothing asks for it: any type can be an answer. It says to readers what a class is
    for, and has no fields of its own.
    """

    __slots__ = ()
