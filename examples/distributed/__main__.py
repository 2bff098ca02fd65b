"""
Run the shop on this machine: servers, APIs, relays and workers, load, and a view of it.

It makes a PostgreSQL and a Redis of its own, below the folder for temporary files, and
ends everything that it has started.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from random import choice, randint

import httpx
from redis.asyncio import Redis
from rich.live import Live
from rich.table import Table
from sqlalchemy import func, insert, select

from examples.distributed import app
from tests.postgresql_server import PostgreSQLServer
from tests.redis_server import HOST, find_free_port, make_redis

APIS = 2
RELAYS = 2
WORKERS = 3

ITEMS = ["chair", "desk", "lamp", "shelf", "sofa", "table"]
IN_STOCK = 1_000_000
CLIENTS = 8
START_SECONDS = 60
END_SECONDS = 60
VIEW_SECONDS = 0.5
# What signals that are obeyed leave behind; uvicorn raises them once more at its end.
WELL_ENDED = (0, -signal.SIGTERM)


def main() -> int:
    """Run the shop as the arguments say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip())
    parser.add_argument("--seconds", type=float, help="of load; endless if left out")
    parser.add_argument("--rate", type=float, default=100, help="orders per second")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        postgresql = stack.enter_context(closing(PostgreSQLServer()))
        redis = stack.enter_context(closing(make_redis("server", "container")))
        postgresql.start()
        redis.start()
        # Of this process, too, and of all that it starts.
        app.DATABASE = os.environ["DATABASE"] = postgresql.url
        app.REDIS = os.environ["REDIS"] = redis.url
        try:
            return asyncio.run(run(arguments.seconds, arguments.rate))
        except KeyboardInterrupt:
            return 130


async def run(seconds: float | None, rate: float) -> int:
    """Run the shop under load, until all that was ordered is confirmed."""
    async with app.open_shop() as shop, Redis.from_url(app.REDIS) as redis:
        async with shop.engine.begin() as connection:
            await connection.run_sync(app.Base.metadata.create_all)
            rows = [{"item": item, "left": IN_STOCK} for item in ITEMS]
            await connection.execute(insert(app.Stock), rows)
        view = View(shop, redis)
        async with run_processes() as addresses:
            watching = asyncio.create_task(view.show())
            try:
                await order(addresses, seconds, rate)
                async with asyncio.timeout(END_SECONDS):
                    # Others do the work.
                    while not (await view.look()).is_done:  # noqa: ASYNC110
                        await asyncio.sleep(VIEW_SECONDS)
            finally:
                watching.cancel()
                await asyncio.wait([watching])
        return await balance(shop)


# --- Processes ------------------------------------------------------------------------


@asynccontextmanager
async def run_processes() -> AsyncGenerator[list[str]]:
    """Run APIs, relays and workers, and give the addresses of the APIs."""
    processes = []

    def start(program: str, *arguments: str, **environment: str) -> None:
        process = subprocess.Popen(  # noqa: S603  # all of it is ours
            # The program of the environment that this runs in.
            [Path(sys.executable).with_name(program), *arguments],
            env=os.environ | environment,
            # Ctrl-C is for the one who started them.
            start_new_session=True,
        )
        processes.append(process)

    try:
        ports = [find_free_port() for _ in range(APIS)]
        for port in ports:
            where = [f"--host={HOST}", f"--port={port}", "--log-level=warning"]
            start("uvicorn", "examples.distributed.app:api", *where)
        quiet = "--log-level=warning"
        for _ in range(RELAYS):
            start("diator", "relay", "examples.distributed.app:relay", quiet)
        for number in range(WORKERS):
            share = {"WORKER": str(number), "WORKERS": str(WORKERS)}
            worker = "examples.distributed.app:worker"
            start("diator", "consume", worker, quiet, **share)
        yield [f"http://{HOST}:{port}" for port in ports]
    finally:
        for process in processes:
            process.terminate()
        codes = [await asyncio.to_thread(process.wait) for process in processes]
    failed = [code for code in codes if code not in WELL_ENDED]
    if failed:
        sys.exit(f"Processes ended with {failed}")


# --- Load -----------------------------------------------------------------------------


async def order(addresses: list[str], seconds: float | None, rate: float) -> None:
    """Order at a rate, from all APIs in turn."""
    async with httpx.AsyncClient(timeout=START_SECONDS) as client:
        for address in addresses:
            await wait_for(client, address)
        end = None if seconds is None else time.monotonic() + seconds

        async def order_on(address: str) -> None:
            while end is None or time.monotonic() < end:
                body = {"item": choice(ITEMS), "quantity": randint(1, 5)}  # noqa: S311
                answer = await client.post(f"{address}/orders", json=body)
                answer.raise_for_status()
                await asyncio.sleep(CLIENTS / rate)

        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(order_on(addresses[number % len(addresses)]))


async def wait_for(client: httpx.AsyncClient, address: str) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                await client.get(address)
            except httpx.ConnectError:
                await asyncio.sleep(0.1)
            else:
                return


# --- View -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Figures:
    ordered: int
    confirmed: int
    in_outbox: int
    in_streams: int  # not yet delivered to a worker
    in_workers: int  # delivered, and not yet acknowledged
    dead: int

    @property
    def is_done(self) -> bool:
        return not (self.in_outbox or self.in_streams or self.in_workers)


class View:
    """Shows what waits where."""

    def __init__(self, shop: app.Shop, redis: Redis) -> None:
        self.shop = shop
        self.redis = redis
        self.seen: deque[tuple[float, int]] = deque(maxlen=10)

    async def look(self) -> Figures:
        status = await self.shop.outbox.status()
        orders = select(func.count()).select_from(app.Order)
        async with self.shop.engine.connect() as connection:
            ordered = await connection.scalar(orders)
            confirmed = await connection.scalar(
                orders.where(app.Order.status == "confirmed")
            )
        groups = []
        for number in range(app.PARTITIONS):
            stream = f"diator:{app.TOPIC}:{number}"
            if await self.redis.exists(stream):
                groups += await self.redis.xinfo_groups(stream)
        dead = await self.redis.xlen(f"diator:{app.TOPIC}:dead:{app.GROUP}")
        return Figures(
            ordered=ordered or 0,
            confirmed=confirmed or 0,
            in_outbox=status.pending,
            in_streams=sum(group["lag"] or 0 for group in groups),
            in_workers=sum(group["pending"] for group in groups),
            dead=dead + status.dead,
        )

    async def show(self) -> None:
        with Live(transient=True) as live:
            while True:
                figures = await self.look()
                self.seen.append((time.monotonic(), figures.confirmed))
                live.update(self.table(figures))
                await asyncio.sleep(VIEW_SECONDS)

    def table(self, figures: Figures) -> Table:
        (begin, before), (end, after) = self.seen[0], self.seen[-1]
        rate = (after - before) / (end - begin) if end > begin else 0.0
        table = Table(title=f"{APIS} APIs, {RELAYS} relays, {WORKERS} workers")
        for name in ("what", "number"):
            table.add_column(name, justify="left" if name == "what" else "right")
        for name, number in [
            ("orders", figures.ordered),
            ("confirmed", figures.confirmed),
            ("confirmed per second", round(rate)),
            ("wait in the outbox", figures.in_outbox),
            ("wait in the streams", figures.in_streams),
            ("are with workers", figures.in_workers),
            ("dead letters", figures.dead),
        ]:
            table.add_row(name, f"{number:,}")
        return table


async def balance(shop: app.Shop) -> int:
    """Tell whether everything ordered was confirmed, and taken from the stock once."""
    count, quantity = func.count(), func.sum(app.Order.quantity)
    confirmed = app.Order.status == "confirmed"
    async with shop.engine.connect() as connection:
        [(orders, ordered)] = await connection.execute(select(count, quantity))
        confirmed_orders = await connection.scalar(select(count).where(confirmed))
        left = await connection.scalar(select(func.sum(app.Stock.left)))
    taken = len(ITEMS) * IN_STOCK - (left or 0)
    print(f"{orders:,} orders, {confirmed_orders:,} of them confirmed")
    print(f"{ordered:,} pieces ordered, {taken:,} taken from the stock")
    return 0 if orders and confirmed_orders == orders and taken == ordered else 1


if __name__ == "__main__":
    sys.exit(main())
