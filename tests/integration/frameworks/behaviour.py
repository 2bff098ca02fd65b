"""What every web framework's shop does, whichever it is."""

from __future__ import annotations


class OverHttp:
    """The cases; the fixture `client` is a client of the application."""

    async def test_command_and_query(self, client):
        """An order that was placed can be read."""
        placed = await client.post("/orders", json={"product": "tea", "amount": 2})
        assert (placed.status_code, placed.json()) == (201, 1)

        read = await client.get("/orders/1")
        assert read.status_code == 200
        assert read.json() == {"order_id": 1, "product": "tea", "amount": 2}

    async def test_invalid(self, client):
        """What breaks the rules of a request is told, with the field."""
        answer = await client.post("/orders", json={"product": "", "amount": 0})

        assert answer.status_code == 422
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert "product" in answer.text

    async def test_unreadable(self, client):
        """A body that is no request is refused, too."""
        answer = await client.post("/orders", json={"amount": "two"})

        assert answer.status_code == 422
        assert answer.headers["content-type"].startswith("application/problem+json")

    async def test_not_found(self, client):
        """What the domain does not have is not found."""
        answer = await client.get("/orders/7")

        assert answer.status_code == 404
        assert answer.json() == {"title": "there is no order 7", "status": 404}
