"""The shop on the command line: `python -m examples.frameworks.typer_app --help`."""

from __future__ import annotations

import asyncio
from typing import Any

import typer

from diator import Request
from diator.exceptions import AuthorisationError, ValidationError
from examples.frameworks import shop
from examples.frameworks.shop import OrderNotFoundError, PlaceOrder, ReadOrder

app = typer.Typer(help="Place orders, and look at them.", no_args_is_help=True)


async def send(request: Request[Any]) -> Any:
    async with shop.mediator() as mediator:
        return await mediator.send(request)


def answer_to(request: Request[Any]) -> Any:
    """Send a request, and end the program where it is refused."""
    try:
        return asyncio.run(send(request))
    except ValidationError as error:
        for path, finding in error.findings:
            typer.echo(f"{path}: {finding}", err=True)
    except (AuthorisationError, OrderNotFoundError) as error:
        typer.echo(error, err=True)
    raise typer.Exit(1)


@app.command()
def place(product: str, amount: int = 1) -> None:
    """Place an order, and print its number."""
    typer.echo(answer_to(PlaceOrder(product, amount)))


@app.command()
def show(order_id: int) -> None:
    """Print an order."""
    order = answer_to(ReadOrder(order_id))
    typer.echo(f"{order.amount} × {order.product}")


if __name__ == "__main__":
    app()
