"""Our resting orders on one symbol, in price and time priority.

Law: the book holds only our orders; the rest of the market is the rows.  Orders of one side are kept sorted,
so the best is at the end of its list and a row asks one comparison.
"""

from __future__ import annotations

from bisect import insort

from domain.orders import BUY


class RestingOrder:
    """One of our orders on the book: `left` of it is not filled, `filled` is.

    `ahead` is the queue before it in lots; None until it is known.
    """

    __slots__ = ("ahead", "client_id", "exchange_id", "filled", "left", "price", "reduce_only", "seq", "side")

    def __init__(
        self, client_id: str, exchange_id: str, side: str, price: int, left: int, seq: int, reduce_only: bool
    ) -> None:
        self.client_id = client_id
        self.exchange_id = exchange_id
        self.side = side
        self.price = price
        self.left = left
        self.filled = 0
        self.seq = seq
        self.reduce_only = reduce_only
        self.ahead: int | None = None


Entry = tuple[int, int, RestingOrder]


class OwnBook:
    """Our orders of one symbol; the best of each side is the last entry of its list."""

    def __init__(self) -> None:
        self.buys: list[Entry] = []
        self.sells: list[Entry] = []
        self.by_id: dict[str, RestingOrder] = {}

    def add(self, order: RestingOrder) -> None:
        """Let an order rest behind others of its price."""
        # Ascending by key, best last: buys by price, sells by negated price; earlier orders come later in
        # the list, hence the negated sequence.
        if order.side == BUY:
            insort(self.buys, (order.price, -order.seq, order))
        else:
            insort(self.sells, (-order.price, -order.seq, order))
        self.by_id[order.client_id] = order

    def remove(self, order: RestingOrder) -> None:
        """Take an order off the book."""
        del self.by_id[order.client_id]
        if order.side == BUY:
            side, key = self.buys, (order.price, -order.seq)
        else:
            side, key = self.sells, (-order.price, -order.seq)
        if side and side[-1][2] is order:
            side.pop()
            return
        for at in range(len(side) - 1, -1, -1):
            if side[at][:2] == key:
                del side[at]
                return

    def best_buy(self) -> int | None:
        """Highest price of our resting buys, in ticks."""
        return self.buys[-1][0] if self.buys else None

    def best_sell(self) -> int | None:
        """Lowest price of our resting sells, in ticks."""
        return -self.sells[-1][0] if self.sells else None
