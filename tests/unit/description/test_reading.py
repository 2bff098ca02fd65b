"""What the source of a handler says."""

from __future__ import annotations

import linecache
from functools import partial
from pathlib import Path

import pytest

from diator.description.reading import Reader
from diator.description.source import Sources
from tests.unit.description import deeds, plain_deeds


def read(handler, implementation=lambda _: None):
    return Reader(Sources(), implementation).read(handler)


def told(found):
    return "".join(each.event.partition(":")[2] for each in found)


def raises(handler):
    """Give the letters of the events that are seen, and of those that are guessed."""
    found = read(handler).raises
    return (
        told(each for each in found if each.certainty == "seen"),
        told(each for each in found if each.certainty == "guess"),
    )


class TestSeen:
    @pytest.mark.parametrize(
        "handler, events",
        [
            (deeds.Appends, "A"),
            (deeds.AppendsVariable, "AB"),
            (deeds.Extends, "ABC"),
            (deeds.Inserts, "AB"),
            (deeds.Keeps, "A"),
            (deeds.Delegates, "A"),
            (deeds.Inherits, "BA"),
            (deeds.MakesFirst, "A"),
            (deeds.collects, "AB"),
            (deeds.collects_local, "AB"),
            (deeds.annotates, "ABC"),
            (deeds.below_decorator, "A"),
            (partial(deeds.collects), "AB"),
        ],
    )
    def test_raised(self, handler, events):
        """What a handler plainly raises, in whatever way, is seen."""
        assert raises(handler) == (events, "")

    def test_generic(self):
        """A generic event is seen by its class."""
        assert raises(plain_deeds.generic) == ("Boxed", "")

    def test_closure(self):
        """Names of the function around it are known, unless they are not set yet."""
        assert raises(deeds.closure) == ("A", "")
        assert "later()" in read(deeds.closure).unknown[0]

    def test_place(self):
        """It is told where."""
        [found] = read(deeds.Appends).raises

        lines = Path(deeds.__file__).read_text().splitlines()
        assert lines[found.place.line - 1].strip() == "self.events.append(A())"
        assert found.via == "Appends.handle"


class TestGuess:
    @pytest.mark.parametrize(
        "handler, events",
        [
            (deeds.ByAttribute, "B"),
            (deeds.ByField, "B"),
            (deeds.by_parameter, "B"),
            (deeds.by_property, "B"),
            (deeds.by_annotation, "B"),
            (deeds.by_chain, "B"),
            (deeds.by_function, "B"),
            (deeds.by_class, "CA"),
            (deeds.by_construction, "A"),
            (deeds.by_shared_object, "B"),
            (deeds.made_only, "A"),
        ],
    )
    def test_called(self, handler, events):
        """What stands in what a handler calls is a guess, or is made without more."""
        assert raises(handler) == ("", events)

    @pytest.mark.parametrize(
        "handler",
        [
            plain_deeds.told,
            plain_deeds.either,
            plain_deeds.optional,
            plain_deeds.annotated,
            plain_deeds.either_now,
            plain_deeds.by_answer,
            plain_deeds.by_answer_as_text,
        ],
    )
    def test_annotations(self, handler):
        """Annotations may be texts or not, and written in many ways."""
        assert raises(handler) == ("", "B")

    def test_implementation(self):
        """Of an interface, the class is read that is built for it."""

        class Better(deeds.Aggregate):
            def close(self):
                return [deeds.C()]

        found = read(
            deeds.by_shared_object,
            {deeds.Aggregate: Better}.get,
        )

        assert told(found.raises) == "C"


class TestUnknown:
    def test_what_is_made_elsewhere(self):
        """What only a run shows is told as unknown, and nothing is invented."""
        found = read(deeds.unclear)

        assert found.raises == ()
        [sentence] = found.unknown
        assert "deeds.py:" in sentence
        assert "`maker()`" in sentence

    def test_list_made_elsewhere(self):
        """So is a list, whose events may be guessed where they are made."""
        [sentence] = read(deeds.ByAttribute).unknown

        assert "self._repository.aggregate.close()" in sentence

    @pytest.mark.parametrize("handler", [deeds.too_general, deeds.circular])
    def test_no_event_of_its_own(self, handler):
        """A type that says nothing of the event, or none, is no event."""
        found = read(handler)

        assert found.raises == ()
        assert found.unknown

    @pytest.mark.parametrize(
        "handler", [plain_deeds.untold, plain_deeds.by_unknown_super, deeds.Nothing]
    )
    def test_nothing_is_invented(self, handler):
        """What names and annotations do not tell is not followed."""
        assert raises(handler) == ("", "")

    def test_relative_import(self):
        """Neither are relative imports in functions."""
        assert raises(plain_deeds.relative) == ("", "")
        assert "found.A()" in read(plain_deeds.relative).unknown[0]

    def test_without_source(self):
        """Where there is no source, this is said."""
        names = {"collect": deeds.collect, "A": deeds.A}
        exec("async def typed(request):\n    collect(A())", names)

        found = read(names["typed"])

        assert found.raises == ()
        assert found.unknown == ("the source of typed cannot be read",)

    def test_changed_source(self, tmp_path, monkeypatch):
        """So it is where the file says something else by now."""
        path = tmp_path / "changing.py"
        path.write_text("async def first(request): ...\n")
        names: dict = {}
        exec(compile(path.read_text(), str(path), "exec"), names)

        path.write_text("async def other(request): ...\n")
        assert read(names["first"]).unknown == ("the source of first cannot be read",)

        linecache.clearcache()
        path.write_text("async def first(\n")
        assert read(names["first"]).unknown == ("the source of first cannot be read",)


class TestSent:
    def test_all_ways(self):
        """What is sent, posted and streamed is told."""
        found = read(deeds.Sends).sends

        assert [
            (each.request.partition(":")[2], each.how, each.certainty) for each in found
        ] == [
            ("Do", "send", "seen"),
            ("Ask", "send", "seen"),
            ("Do", "post", "seen"),
            ("Watch", "stream", "seen"),
        ]

    def test_by_need(self):
        """What a need sends is a guess, and comes last."""
        found = read(deeds.sends_by_need).sends

        assert [
            (each.request.partition(":")[2], each.certainty, each.via) for each in found
        ] == [("Do", "seen", "sends_by_need"), ("Ask", "guess", "Sender.ask")]

    def test_nested_function(self):
        """A function in the handler is a part of it."""
        [found] = read(deeds.nested_send).sends

        assert found.certainty == "seen"

    def test_unclear(self):
        """What a mediator sends may be unknown; what others send is not of interest."""
        found = read(deeds.sends_unclear)

        assert found.sends == ()
        assert len(found.unknown) == 1

    def test_shallow(self):
        """The source of a handler that sends nothing itself need not be read."""
        reader = Reader(Sources(), lambda _: None)

        assert reader.sent(deeds.sends_first_by_need) == []
        [(request_type, _)] = reader.sent(deeds.sends_first_by_need, deep=True)
        assert request_type is deeds.Ask
        [(request_type, _)] = reader.sent(deeds.nested_send)
        assert request_type is deeds.Do
