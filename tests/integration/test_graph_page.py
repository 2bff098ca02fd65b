"""The page of the wiring, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from diator import (
    Command,
    DomainEvent,
    EventEmitter,
    Mediator,
    NotificationEvent,
    collect,
)
from diator.cli.page import page as page_of
from diator.consumer.consumer import Consumer
from diator.description.describing import describe
from diator.middlewares.event_collection import EventCollectionMiddleware
from tests.unit.consumer.fake_broker import FakeBroker
from tests.unit.description import shop

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

PLACE_ORDER = "#request/tests.unit.description.shop%3APlaceOrder"
ORDER_PLACED = "#event/tests.unit.description.shop%3AOrderPlaced"
BEGIN = "#request/tests.integration.test_graph_page%3ABegin"
VIEWS = {"overview": "", "request": PLACE_ORDER, "event": ORDER_PLACED}

HOSTILE = "</script><script>document.title = 'taken'</script>\"'&amp;<b>\u2028"


class Hostile(Command):
    pass


Hostile.__name__ = HOSTILE
Hostile.__doc__ = f"<img src=x onerror=alert(1)> {HOSTILE}"


async def handle_hostile(command: Hostile) -> None: ...


handle_hostile.__qualname__ = HOSTILE


class Begin(Command):
    pass


class Again(DomainEvent):
    pass


class Lost(NotificationEvent):
    pass


async def begin(command: Begin, price: float) -> None:
    collect(Again())


async def again(event: Again) -> None:
    collect(Again())
    collect(Lost())


async def lose(event: Lost) -> None: ...


async def act(command: Command) -> None: ...


class Unbuildable:
    def __init__(self, number: int) -> None: ...

    async def __call__(self, message: Any, handle: Any) -> Any: ...


def make_troubled() -> Mediator:
    """Make one that lacks much, and whose events raise themselves."""
    mediator = Mediator(event_emitter=EventEmitter())
    mediator.use(EventCollectionMiddleware(mediator.event_emitter))
    mediator.handles(Begin)(begin)
    mediator.handles(Again)(again)
    # Nobody can read its source.
    written: dict[str, Any] = {"Lost": Lost}
    exec("async def lose(event: Lost): ...", written)
    mediator.handles(Lost)(written["lose"])
    return mediator


class Tab:
    """A tab of a browser with a page, and what went wrong in it."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page = page
        self.file = file
        self.main = page.get_by_role("main")
        self.list = page.get_by_role("navigation")
        self.search = page.get_by_role("searchbox")
        self.found = page.get_by_role("status")
        self.title = page.get_by_role("main").get_by_role("heading", level=2)
        self.problems: list[str] = []
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self._check(request.url))

    def open(self, choice: str = "") -> None:
        self.page.goto(self.file.as_uri() + choice)

    def choices(self) -> list[str]:
        links = self.list.get_by_role("link")
        return links.locator("span:first-child").all_inner_texts()

    def focused(self) -> str:
        return self.page.evaluate("document.activeElement.textContent")

    def hash(self) -> str:
        return self.page.evaluate("location.hash")

    def _check(self, url: str) -> None:
        if not url.startswith(self.file.as_uri()):
            self.problems.append(f"asks for {url}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail(f"there is no {CHROMIUM}: install Debian's package `chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=ARGUMENTS, headless=True
        )
        yield browser
        browser.close()


@pytest.fixture
def open_tab(browser, tmp_path):
    tabs: list[Tab] = []

    def open_tab(
        mediator: Mediator | None = None,
        consumer: Consumer | None = None,
        **options: object,
    ) -> Tab:
        file = tmp_path / "page.html"
        text = page_of(describe(mediator or shop.make_mediator(), consumer))
        file.write_text(text, encoding="utf-8")
        tab = Tab(browser.new_page(**options), file)
        tabs.append(tab)
        return tab

    yield open_tab
    for tab in tabs:
        tab.page.close()
        assert not tab.problems


@pytest.fixture
def tab(open_tab):
    tab = open_tab()
    tab.open()
    return tab


class TestChoosing:
    def test_overview(self, tab):
        """At the start all is counted, and what has no handler is named."""
        expect(tab.title).to_have_text("Overview")
        expect(tab.found).to_have_text("4 requests, 5 events")
        alone = tab.main.locator("section", has_text="Without a handler here")
        expect(alone.get_by_role("link")).to_have_text(
            ["SendInvoice", "OrderShipped", "StockChanged"]
        )

    def test_click(self, tab):
        """A request is shown with its middlewares, its handler and its events."""
        tab.list.get_by_role("link", name="PlaceOrder").click()

        expect(tab.title).to_have_text("PlaceOrder command")
        expect(tab.page).to_have_title("PlaceOrder · Wiring")
        expect(tab.list.locator("[aria-current=page]")).to_have_text(
            re.compile("Place")
        )
        way = tab.main.locator(".request-way > li:visible")
        for step, told in enumerate(
            (
                "Timing",
                "only=is_audited, which is True of PlaceOrder",
                "needs till: Till built from its class",
            )
        ):
            expect(way.nth(step)).to_contain_text(told)
        expect(way.nth(2)).to_contain_text("needs prices: Prices")
        expect(way.nth(2)).to_contain_text("StockTaken guess by ShelfStock.take")
        expect(tab.main.get_by_role("heading", level=4)).to_have_text(
            [
                "OrderPlaced domain",
                "StockTaken domain guess",
                "OrderShipped notification",
            ]
        )

    def test_left_out(self, tab):
        """Middlewares that do not apply are shown on demand."""
        tab.open(PLACE_ORDER)
        left_out = tab.main.get_by_text("only=Query, StreamRequest, and PlaceOrder is")
        expect(left_out).to_be_hidden()

        tab.main.get_by_label("show 1 left out").check()

        expect(left_out).to_be_visible()
        tab.open(VIEWS["event"])
        tab.open(PLACE_ORDER)
        expect(left_out).to_be_visible()

    def test_following(self, tab):
        """From a request one gets to its event, and to the request that this sends."""
        tab.open(PLACE_ORDER)
        effects = tab.main.locator(".request-way .effects")

        effects.get_by_role("link", name="OrderPlaced").click()

        expect(tab.title).to_have_text("OrderPlaced domain")
        expect(tab.title).to_be_focused()
        expect(tab.main.get_by_text("raised by PlaceOrder")).to_be_visible()
        tab.main.get_by_role("link", name="SendInvoice").click()
        expect(tab.title).to_have_text("SendInvoice command")
        expect(tab.main.get_by_text("posted by OrderPlaced")).to_be_visible()
        expect(tab.main.get_by_text("no handler here")).to_be_visible()

    def test_leaving(self, tab):
        """It is told where events go."""
        tab.open(VIEWS["event"].replace("OrderPlaced", "StockChanged"))

        expect(tab.main.locator(".leaves")).to_contain_text(
            "leaves by FakeBrokeras stock.changed.v1 on the topic stock, in order by"
        )

    def test_troubled(self, open_tab):
        """What is missing or cannot be known is told, and circles come to an end."""
        tab = open_tab(make_troubled())
        tab.open()

        tab.list.get_by_role("link", name="Begin").click()

        begin = tab.main.locator(".request-way .handler")
        expect(begin).to_contain_text("needs price: float missing: nothing says how")
        later = tab.main.locator(".after")
        expect(later.get_by_role("heading")).to_have_text(
            ["Again domain", "Lost notification"]
        )
        expect(later.first).to_contain_text("before the middleware for domain events")
        expect(later.last).to_contain_text("when the outermost send has succeeded")
        expect(later.last).to_contain_text("cannot leave: there is no message broker")
        expect(later.last.locator(".handler")).to_contain_text("without source")
        expect(later.last.locator(".handler")).to_contain_text("unknown")

    def test_errors(self, open_tab):
        """What checking finds stands at the top, and leads to what it is about."""
        tab = open_tab(make_troubled())
        tab.open()

        errors = tab.main.get_by_role("region", name="wiring errors")
        expect(errors.get_by_role("heading")).to_have_text("3 wiring errors")
        expect(errors.get_by_role("listitem")).to_contain_text(
            ["has no handler: bind", "begin cannot be called: its ", "Lost is for"]
        )
        begin = tab.list.get_by_role("link", name="Begin")
        expect(begin).to_have_text("Begincommand 1 error")
        expect(tab.list.get_by_role("link", name="Again")).to_have_text("Againdomain")
        expect(tab.main.locator(".list li", has_text="begin")).to_contain_text(
            "1 error"
        )

        errors.get_by_role("link", name="Begin").click()

        expect(tab.title).to_have_text("Begin command")
        errors = tab.main.get_by_role("region", name="1 wiring error")
        expect(errors.get_by_role("listitem")).to_contain_text("'price'")
        tab.list.get_by_role("link", name="Again").click()
        expect(errors).to_have_count(0)
        tab.search.fill("cannot be called")
        assert tab.choices() == ["Begin"]

    def test_error_about_many(self, open_tab):
        """An error about many messages leads to the first of them."""
        mediator = Mediator()
        mediator.use(Unbuildable)
        for number in range(10):
            mediator.handles(type(f"Do{number}", (Command,), {}))(act)
        tab = open_tab(mediator)

        tab.open()

        errors = tab.main.get_by_role("region", name="wiring error")
        unbuildable = errors.get_by_role("listitem").filter(has_text="Unbuildable")
        expect(unbuildable.get_by_role("link")).to_have_count(8)
        expect(unbuildable).to_contain_text("Do7, 2 more")

    def test_sound(self, tab):
        """Where nothing is wrong, nothing is said of errors."""
        expect(tab.main.get_by_text("error")).to_have_count(0)

    def test_in_memory(self, open_tab):
        """What the broker in memory takes is not said to leave."""
        mediator = Mediator()
        mediator.handles(Lost)(lose)
        tab = open_tab(mediator)
        tab.open()
        expect(tab.main.get_by_text("message broker, in this process")).to_be_visible()

        tab.list.get_by_role("link", name="Lost").click()

        expect(tab.main.locator(".leaves")).to_contain_text(
            "stays in this process, by InMemoryMessageBrokeras Lost on the topic"
        )

    def test_consumer(self, open_tab):
        """It is told where the messages of a consumer come from."""
        mediator = Mediator()
        mediator.event_emitter.registry.add(Lost)
        consumer = Consumer(mediator, FakeBroker(), group="mails", topics=["events"])
        tab = open_tab(mediator, consumer)
        tab.open()
        expect(tab.main.locator(".counts")).to_contain_text(
            "receives as the group mails, topics events"
        )
        alone = tab.main.locator("section", has_text="Without a handler here")
        expect(alone).to_contain_text("received, and passed over")

        tab.list.get_by_role("link", name="Lost").click()

        expect(tab.main).to_contain_text("received from FakeBroker, topic events")
        expect(tab.main).not_to_contain_text("no handler is seen to raise it")
        expect(tab.main.locator(".leaves")).to_have_count(0)

    def test_back(self, tab):
        """What is chosen is in the address, so that Back and bookmarks work."""
        tab.list.get_by_role("link", name="PlaceOrder").click()
        tab.list.get_by_role("link", name="OrderPlaced").click()
        assert tab.hash() == ORDER_PLACED
        expect(tab.list.locator("[aria-current]")).to_have_count(1)

        tab.page.go_back()

        expect(tab.title).to_have_text("PlaceOrder command")
        assert tab.hash() == PLACE_ORDER
        tab.page.reload()
        expect(tab.title).to_have_text("PlaceOrder command")
        tab.page.get_by_role("link", name="Wiring").click()
        expect(tab.title).to_have_text("Overview")

    @pytest.mark.parametrize("choice", ["#request/gone", "#%", "#event/%E0%A4%A"])
    def test_unknown(self, tab, choice):
        """An address of what is there no more leads to the overview."""
        tab.open(choice)

        expect(tab.title).to_have_text("Overview")


class TestSearching:
    @pytest.mark.parametrize(
        "wanted, choices",
        [
            ("watch", ["WatchOrders"]),
            ("PLACEORDERHANDLER", ["PlaceOrder"]),
            ("stock.changed.v1", ["StockChanged"]),
            ("sendinvoice", ["SendInvoice", "OrderPlaced"]),
            ("nowhere", []),
        ],
    )
    def test_names(self, tab, wanted, choices):
        """The list is narrowed to what has a name in it, and the number is told."""
        tab.search.fill(wanted)

        assert tab.choices() == choices
        expect(tab.found).to_have_text(re.compile(r"^\d requests?, \d events? found$"))

    def test_keyboard(self, tab):
        """All can be reached without a mouse."""
        keyboard = tab.page.keyboard
        keyboard.press("/")
        expect(tab.search).to_be_focused()
        expect(tab.search).to_have_value("")
        keyboard.type("order")
        keyboard.press("ArrowDown")
        keyboard.press("ArrowDown")
        assert tab.focused() == "ReadOrdersquery"
        keyboard.press("ArrowUp")
        keyboard.press("Enter")
        expect(tab.title).to_have_text("PlaceOrder command")
        assert tab.focused() == "PlaceOrdercommand"
        keyboard.press("ArrowUp")
        expect(tab.search).to_be_focused()
        keyboard.press("Control+A")
        keyboard.type("watch/")
        expect(tab.search).to_have_value("watch/")
        keyboard.press("Backspace")
        keyboard.press("Enter")
        expect(tab.title).to_have_text("WatchOrders stream")

    def test_skipping(self, tab):
        """The first stop leads past the list, and shows itself."""
        tab.page.keyboard.press("Tab")
        assert tab.focused() == "Skip to the content"
        expect(tab.page.get_by_text("Skip to the content")).to_be_in_viewport()

        tab.page.keyboard.press("Enter")

        expect(tab.main).to_be_focused()
        tab.page.keyboard.press("Tab")
        assert tab.focused() == "SendInvoice"
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert tab.page.evaluate(outline) == "solid"


class TestShowing:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("choice", ["", BEGIN])
    def test_accessible_errors(self, open_tab, scheme, choice):
        """No rule of accessibility is broken where something is wrong, either."""
        tab = open_tab(make_troubled(), color_scheme=scheme)
        tab.open(choice)
        expect(tab.main.get_by_role("region")).to_have_count(1)

        results = Axe().run(tab.page)

        assert results.violations_count == 0, results.generate_report()

    def test_narrow_errors(self, open_tab):
        """On a small screen errors are not cut off."""
        tab = open_tab(make_troubled(), viewport={"width": 320, "height": 640})

        tab.open()

        assert tab.page.evaluate("document.documentElement.scrollWidth") == 320

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("view", VIEWS)
    def test_accessible(self, open_tab, scheme, view):
        """No rule of accessibility is broken, by the colours of either theme."""
        tab = open_tab(color_scheme=scheme)
        tab.open(VIEWS[view])
        if view != "overview":
            tab.main.get_by_role("checkbox").first.check()

        results = Axe().run(tab.page)

        assert results.violations_count == 0, results.generate_report()

    def test_theme(self, open_tab):
        """The system's theme is taken, and the other one by a button."""
        background = "getComputedStyle(document.body).backgroundColor"
        tab = open_tab(color_scheme="dark")
        tab.open()
        dark = tab.page.evaluate(background)

        tab.page.get_by_role("button", name="Light theme").click()

        light = tab.page.evaluate(background)
        assert light != dark
        tab.page.get_by_role("button", name="Dark theme").click()
        assert tab.page.evaluate(background) == dark
        tab.page.emulate_media(color_scheme="light")
        assert tab.page.evaluate(background) == dark

    def test_still(self, open_tab):
        """Nothing moves by itself, whether one asked for that or not."""
        tab = open_tab(reduced_motion="no-preference")
        tab.open(PLACE_ORDER)

        assert tab.page.evaluate("document.getAnimations().length") == 0
        scrolling = "getComputedStyle(document.documentElement).scrollBehavior"
        assert tab.page.evaluate(scrolling) == "auto"

    @pytest.mark.parametrize("view", VIEWS)
    def test_narrow(self, open_tab, view):
        """On a small screen nothing is cut off or has to be moved sideways."""
        tab = open_tab(viewport={"width": 320, "height": 640})

        tab.open(VIEWS[view])

        width = tab.page.evaluate("document.documentElement.scrollWidth")
        assert width == 320
        if view != "overview":
            expect(tab.title).to_be_in_viewport()

    def test_narrow_choice(self, open_tab):
        """On a small screen, what is chosen is gone to."""
        tab = open_tab(viewport={"width": 320, "height": 640})
        tab.open()

        tab.list.get_by_role("link", name="OrderPlaced").click()

        expect(tab.title).to_have_text("OrderPlaced domain")
        expect(tab.title).to_be_focused()

    def test_print(self, tab):
        """On paper there is the choice alone, dark on light."""
        tab.open(PLACE_ORDER)

        tab.page.emulate_media(media="print", color_scheme="dark")

        expect(tab.list).to_be_hidden()
        expect(tab.title).to_be_visible()
        colour = tab.title.evaluate("each => getComputedStyle(each).color")
        assert colour == "rgb(26, 31, 39)"

    def test_hostile(self, open_tab):
        """Names and docstrings are text, whatever they look like."""
        mediator = Mediator()
        mediator.handles(Hostile)(handle_hostile)
        tab = open_tab(mediator)
        tab.open()

        tab.list.get_by_role("link", name="taken").click()

        expect(tab.title).to_contain_text("</script><script>document.title")
        expect(tab.main.locator(".lead")).to_contain_text("<img src=x onerror=")
        expect(tab.main.locator(".handler .name")).to_contain_text("\"'&amp;<b>")
        assert tab.main.locator("img, b, script").count() == 0
        assert tab.page.title() != "taken"

    def test_nothing(self, open_tab):
        """A mediator without anything has a page, too."""
        tab = open_tab(Mediator())

        tab.open()

        expect(tab.title).to_have_text("Overview")
        expect(tab.found).to_have_text("0 requests, 0 events")

    def test_no_network(self, open_tab):
        """Not even a script that got in could reach a network."""
        tab = open_tab()
        tab.open()

        refused = tab.page.evaluate(
            "fetch('http://127.0.0.1:9/').then(() => 'went', () => 'refused')"
        )

        assert refused == "refused"
        # The browser says by what it was refused.
        assert "Content Security Policy" in tab.problems[0]
        tab.problems.clear()
