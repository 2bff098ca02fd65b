"""The code that is made from plans."""

from __future__ import annotations

import functools
import inspect

import pytest

from diator.container.plan import Plan, calling, factory_of, injecting
from diator.exceptions import UnresolvableError

LEVELS = 220
"""More than CPython's parser would take in one expression."""


class Clock:
    pass


class Leaf:
    inner = None


class Nested:
    def __init__(self, inner):
        self.inner = inner


class Pair:
    def __init__(self, first, second="default", *, third="default"):
        self.given = first, second, third


class Noting:
    """Notes how it was called before it is built."""

    def __new__(cls, *args, **kwargs):
        built = super().__new__(cls)
        built.args, built.kwargs = args, kwargs
        return built

    def __init__(self, first, second):
        pass


class NotingType(type):
    def __call__(cls, *args, **kwargs):
        built = super().__call__(*args, **kwargs)
        built.args, built.kwargs = args, kwargs
        return built


class OfNotingType(metaclass=NotingType):
    def __init__(self, first, second):
        pass


def noting(function):
    @functools.wraps(function)
    def wrapper(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs

    return wrapper


class WithWrapper:
    @noting
    def __init__(self, first, second):
        pass


class Greeter:
    def __init__(self, greeting):
        self.greeting = greeting

    def handle(self, message):
        return f"{self.greeting}, {message}"


def constant(value):
    return Plan(lambda: value, constant=True)


def plan_of(cls, **arguments):
    _, *parameters = inspect.signature(cls.__init__).parameters.values()
    return Plan(
        cls,
        arguments=arguments,
        parameters={parameter.name: parameter for parameter in parameters},
    )


def factory(plan):
    plan.settle()
    return factory_of(plan)


class TestFactory:
    def test_constant(self):
        """What is the same at every call is built once."""
        built = []
        plan = Plan(lambda: built.append("it") or Clock(), constant=True)
        build = factory(plan_of(Pair, first=plan))

        assert build().given[0] is build().given[0]
        assert built == ["it"]

    def test_anew(self):
        """All else is built anew with every call."""
        build = factory(plan_of(Nested, inner=Plan(Clock)))

        assert build().inner is not build().inner

    @pytest.mark.parametrize("kind", [constant, lambda value: Plan(lambda: value)])
    def test_each_kind_of_parameter(self, kind):
        """Arguments reach their parameters, with gaps among them and without."""
        first, second, third = kind("1"), kind("2"), kind("3")

        assert factory(plan_of(Pair, first=first))().given == (
            "1",
            "default",
            "default",
        )
        assert factory(plan_of(Pair, first=first, second=second))().given == (
            "1",
            "2",
            "default",
        )
        assert factory(plan_of(Pair, first=first, third=third))().given == (
            "1",
            "default",
            "3",
        )
        assert factory(
            plan_of(Pair, first=first, second=second, third=third)
        )().given == ("1", "2", "3")

    @pytest.mark.parametrize("cls", [Noting, OfNotingType, WithWrapper])
    @pytest.mark.parametrize("kind", [constant, lambda value: Plan(lambda: value)])
    def test_by_keyword(self, cls, kind):
        """What might tell the difference gets its arguments by keyword, as by lagom."""
        built = factory(plan_of(cls, first=kind(1), second=kind(2)))()

        assert built.args == ()
        assert built.kwargs == {"first": 1, "second": 2}

    @pytest.mark.parametrize("kind", [constant, lambda value: Plan(lambda: value)])
    def test_nothing_for_a_default(self, kind):
        """Where there is nothing for a parameter, it keeps its default."""
        build = factory(plan_of(Pair, first=constant(1), second=kind(None)))

        assert build().given == (1, "default", "default")

    @pytest.mark.parametrize("kind", [constant, lambda value: Plan(lambda: value)])
    def test_nothing_without_default(self, kind):
        """Without a default the error names the parameter."""
        build = factory(plan_of(Pair, first=kind(None)))

        with pytest.raises(UnresolvableError, match=r"Pair .*'first' gave None"):
            build()

    def test_false_is_something(self):
        """Only None is nothing."""
        build = factory(
            plan_of(Pair, first=constant(0), second=Plan(lambda: ""), third=Plan(list))
        )

        assert build().given == (0, "", [])

    def test_late_constant(self):
        """What is None at first may be something later."""
        answers = iter([None, None, "it"])
        plan = Plan(lambda: next(answers), constant=True)
        build = factory(plan_of(Pair, first=constant(1), second=plan))

        assert [build().given[1], build().given[1]] == ["default", "it"]

    def test_class_that_makes_nothing(self):
        """A class may give None instead of an instance."""

        class Nothing:
            def __new__(cls):
                return None

        build = factory(plan_of(Pair, first=constant(1), second=Plan(Nothing)))

        assert build().given == (1, "default", "default")

    def test_deep(self):
        """However deep it goes, it is built."""
        plan = Plan(Leaf)
        for _ in range(LEVELS):
            plan = plan_of(Nested, inner=plan)
        built = factory(plan)()
        levels = 0
        while built.inner:
            built = built.inner
            levels += 1

        assert levels == LEVELS
        assert isinstance(built, Leaf)

    def test_name(self):
        """A traceback tells what was being built."""

        def fail():
            raise LookupError

        with pytest.raises(LookupError) as caught:
            factory(plan_of(Nested, inner=Plan(fail)))()

        assert "<plan of Nested>" in {str(entry.path) for entry in caught.traceback} | {
            entry.frame.code.raw.co_filename for entry in caught.traceback
        }


class TestCalling:
    def test_built_for_each_message(self):
        """What the method belongs to is built for each message, from the same plan."""
        built = []
        plan = Plan(lambda: built.append("it") or "hello")
        handle = calling("handle", factory(plan_of(Greeter, greeting=plan)))

        assert [handle("you"), handle("world")] == ["hello, you", "hello, world"]
        assert built == ["it", "it"]

    def test_factory_of_other_origin(self):
        """Any factory will do."""
        handle = calling("handle", lambda: Greeter("hello"))

        assert handle("you") == "hello, you"

    def test_class_with_a_plan(self):
        """A class may have a `plan` that has nothing to do with it."""

        class Planned(Leaf):
            plan = "to leave"

            def handle(self, message):
                return self.plan, message

        assert calling("handle", Planned)("today") == ("to leave", "today")


class TestInjecting:
    def test_by_name(self):
        """The message comes first, and all else by the names of the parameters."""

        def function(message, clock, *, pair):
            return message, clock, pair.given[0]

        clock = Clock()
        handle = injecting(
            function,
            {
                "clock": factory(constant(clock)),
                "pair": factory(plan_of(Pair, first=constant(1))),
            },
        )

        assert handle("message") == ("message", clock, 1)

    def test_nothing(self):
        """A function that asks for something gets it, even if it is None."""
        handle = injecting(
            lambda message, clock=1: clock, {"clock": factory(constant(None))}
        )

        assert handle("message") is None
