"""`cmam sandbox trade`: be a trader on the running sandbox, by hand or from a CSV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmam.cli.face.rows import console, new_table
from cmam.cli.face.talk import print_json, say
from cmam.cli.face.verbs import Noun, Verb, face
from cmam.cli.sandbox.sandbox_common import FILE, POINTS, SPEED, running

if TYPE_CHECKING:
    from cmam.sandbox.trader.steps import Step
    from cmam.sandbox.trader.trader import Trader


@click.group(cls=Noun)
def trade() -> None:
    """Be a trader on the running sandbox.

    Volumes are in lots of the account's broker. Levels are prices. An account is a ctid, a login or
    broker:login; without one it is the first of the ready file.
    """


_ACCOUNT = click.option("--account", metavar="ID", help="Account that trades. Default: the first of the ready file.")
_SL = click.option("--sl", metavar="PRICE", help="Stop loss.")
_TP = click.option("--tp", metavar="PRICE", help="Take profit.")
_TRAILING = click.option("--trailing", is_flag=True, help="Let the stop loss trail.")
_LABEL = click.option("--label", default="", help="Label of the order.")


def _step(**values: Any) -> Step:
    from cmam.sandbox.trader.steps import BadStep, Step, decimal

    try:
        for name, word in (("lots", "LOTS"), ("price", "PRICE"), ("stop_loss", "--sl"), ("take_profit", "--tp")):
            if values.get(name) is not None:
                values[name] = decimal(values[name], word)
        step = Step(**values)
        step.check()
    except BadStep as fault:
        raise click.UsageError(f"{fault}.") from None
    return step


def _do(ready: dict[str, Any], account: str | None, step: Step) -> None:
    from cmam.sandbox.trader.steps import perform
    from cmam.sandbox.trader.trader import Trader, pick_account

    with Trader(ready, pick_account(ready, account)) as trader:
        done = perform(trader, step, {})
    if face().as_json:
        print_json({"done": done.text, "events": done.events})
    else:
        click.echo(done.text)


def _market_command(action: str) -> None:
    @trade.command(action, cls=Verb, help=f"{action.capitalize()} SYMBOL at the market, LOTS of it.")
    @click.argument("symbol")
    @click.argument("lots")
    @_ACCOUNT
    @_SL
    @_TP
    @_TRAILING
    @_LABEL
    @running
    def market(
        ready: dict[str, Any],
        symbol: str,
        lots: str,
        account: str | None,
        sl: str | None,
        tp: str | None,
        trailing: bool,
        label: str,
    ) -> None:
        step = _step(
            action=action, symbol=symbol, lots=lots, stop_loss=sl, take_profit=tp, trailing=trailing, label=label
        )
        _do(ready, account, step)


def _slippage(action: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option that only an order of two prices has."""
    if action != "stop-limit":
        return lambda function: function
    return click.option("--slippage", type=POINTS, help="Points between stop and limit.")


def _pending_command(action: str) -> None:
    @trade.command(action, cls=Verb, help=f"Place a {action} order: buy or sell LOTS of SYMBOL at PRICE.")
    @click.argument("side", type=click.Choice(["buy", "sell"]))
    @click.argument("symbol")
    @click.argument("lots")
    @click.argument("price")
    @_ACCOUNT
    @_SL
    @_TP
    @_TRAILING
    @_LABEL
    @_slippage(action)
    @running
    def pending(
        ready: dict[str, Any],
        account: str | None,
        sl: str | None,
        tp: str | None,
        **rest: Any,
    ) -> None:
        _do(ready, account, _step(action=action, stop_loss=sl, take_profit=tp, **rest))


_market_command("buy")
_market_command("sell")
_pending_command("limit")
_pending_command("stop")
_pending_command("stop-limit")


@trade.command(cls=Verb)
@click.argument("position")
@click.argument("lots", required=False)
@_ACCOUNT
@running
def close(ready: dict[str, Any], position: str, lots: str | None, account: str | None) -> None:
    """Close POSITION, or only LOTS of it."""
    _do(ready, account, _step(action="close", ref=position, lots=lots))


@trade.command(cls=Verb)
@click.argument("ident", metavar="POSITION|ORDER")
@_ACCOUNT
@click.option("--price", metavar="PRICE", help="New price of a pending order.")
@click.option("--lots", metavar="LOTS", help="New volume of a pending order.")
@click.option("--slippage", type=POINTS, help="New slippage of a stop-limit order, in points.")
@_SL
@_TP
@_TRAILING
@running
def amend(
    ready: dict[str, Any],
    ident: str,
    account: str | None,
    sl: str | None,
    tp: str | None,
    **rest: Any,
) -> None:
    """Set levels of a position, or price, volume and levels of a pending order.

    As on the real server a level that is not named is removed.
    """
    _do(ready, account, _step(action="amend", ref=ident, stop_loss=sl, take_profit=tp, **rest))


@trade.command(cls=Verb)
@click.argument("order")
@_ACCOUNT
@running
def cancel(ready: dict[str, Any], order: str, account: str | None) -> None:
    """Cancel the pending ORDER."""
    _do(ready, account, _step(action="cancel", ref=order))


@trade.command("list", cls=Verb)
@_ACCOUNT
@running
def list_trades(ready: dict[str, Any], account: str | None) -> None:
    """Show open positions and pending orders of an account."""
    from cmam.sandbox.trader.trader import Trader, pick_account

    with Trader(ready, pick_account(ready, account)) as trader:
        _show_trades(trader)


@trade.command("play", cls=Verb)
@click.argument("file", type=FILE)
@click.option("--speed", type=SPEED, default=1.0, show_default=True, help="Play faster or slower.")
@running
def play_file(ready: dict[str, Any], file: Path, speed: float) -> None:
    """Play a CSV of trades: all rows are checked before the first is done.

    \b
    Columns (only `action` must be there):
      at        seconds from the start; empty: right after the row before
      action    buy, sell, limit, stop, stop-limit, close, amend, cancel
      ref       a name for what the row makes; close, amend and cancel take
                it, or the id of a position or order
      account   ctid, login or broker:login; empty: the first account
      symbol    the name at that account's broker
      side      buy or sell, for limit, stop and stop-limit
      lots      volume; for close empty means all of it
      price     limit or stop price
      sl, tp    stop loss, take profit: prices
      trailing  yes: the stop loss trails
      slippage  points, for stop-limit
      label     label of the order

    \b
    at,action,ref,symbol,lots,sl
    0,buy,first,EURUSD,0.50,
    2.5,amend,first,,,1.08
    5,close,first,,0.20,
    9,close,first,,,
    """
    from cmam.sandbox.serving.options import SandboxError, SetUpFault
    from cmam.sandbox.serving.setup import read_text
    from cmam.sandbox.trader.player import BadFile, play, read

    try:
        rows = read(read_text(file))
        refused = 0
        for played in play(rows, ready, speed=speed):
            refused += not played.is_done
            if face().as_json:
                events = played.done.events if played.done else ()
                line = {"line": played.line, "ok": played.is_done, "done": played.text, "events": events}
                print_json(line)
            else:
                click.echo(f"line {played.line}: {played.text}")
    except SetUpFault as fault:
        raise click.UsageError(f"{fault}; nothing was played.") from None
    except BadFile as fault:
        raise click.UsageError(f"{file}: nothing was played.\n{fault}") from None
    if refused:
        raise SandboxError(f"{refused} of {len(rows)} rows were refused")


def _show_trades(trader: Trader) -> None:
    from cmam.sandbox.wire.json_codec import as_document

    answer = trader.reconcile()
    if face().as_json:
        print_json(as_document(answer))
        return
    account = trader.account
    say(f"account {account['ctid']} ({account['broker']}:{account['login']}, {account['currency']})")
    if not answer.position and not answer.order:
        click.echo("no open positions, no pending orders")
        return
    table = new_table()
    for name, side in zip(("", "symbol", "side", "lots", "price", "sl", "tp", "label"), "lllrrrrl", strict=True):
        table.add_column(name, justify="right" if side == "r" else "left")
    for position in answer.position:
        table.add_row(f"position {position.positionId}", *_cells(trader, position, position.price))
    for order in answer.order:
        table.add_row(f"order {order.orderId}", *_cells(trader, order, order.limitPrice or order.stopPrice))
    console().print(table)


def _cells(trader: Trader, row: Any, price: float) -> tuple[str, ...]:
    """Write what positions and pending orders have in common."""
    symbol = trader.symbol_of(row.tradeData.symbolId)
    return (
        symbol.name,
        "buy" if row.tradeData.tradeSide == 1 else "sell",
        symbol.lots(row.tradeData.volume),
        symbol.price(price),
        symbol.price(row.stopLoss),
        symbol.price(row.takeProfit),
        row.tradeData.label,
    )
