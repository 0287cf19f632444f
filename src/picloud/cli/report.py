"""One printable page (HTML) on an account's grants: what was given, what it was used for, what is left."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from picloud.cli.call import call, configured
from picloud.wire.money import shown

MONTHS = 12
MOST = 8
"""Rows of a table: all has to be on one page."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
@page {{ size: A4; margin: 16mm }}
body {{ font: 10.5pt/1.4 "Helvetica Neue", Arial, sans-serif; color: #1b1f24; max-width: 178mm; margin: 8mm auto }}
h1 {{ font-size: 18pt; margin: 0 }} h2 {{ font-size: 11.5pt; margin: 6mm 0 1.5mm }}
p {{ margin: 1mm 0 }} .faint {{ color: #59636e }}
table {{ border-collapse: collapse; width: 100% }} th, td {{ text-align: left; padding: .9mm 2mm .9mm 0; vertical-align: top }}
th {{ font-weight: 600; border-bottom: .3mm solid #1b1f24 }} td {{ border-bottom: .15mm solid #d1d9e0 }}
.n {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }}
td {{ overflow-wrap: anywhere }} rect {{ fill: #2f6fb0 }} svg text {{ font-size: 7px; fill: #59636e }}
.pair {{ display: grid; grid-template-columns: 1fr 1fr; gap: 8mm }}
@media print {{ body {{ margin: 0 }} }}
</style></head><body>
<h1>{title}</h1><p class="faint">{subtitle}</p>
<h2>Grants</h2>{grants}
<h2>Spent by month</h2>{chart}
<div class="pair"><div><h2>By function</h2>{functions}</div><div><h2>By label</h2>{labels}</div></div>
<h2>By core type</h2>{types}
<p class="faint">Each attempt is billed by begun milliseconds x cores x the price when it began; months are those of UTC. The sums
are exact: {total}.</p>
</body></html>
"""


def write(file: str, account: str, query: str) -> None:
    """Ask the server, and write the page.

    Args:
        file: path of the page.
        account: for the title; "" = the caller's own.
        query: of the requests; names another account.
    """
    server = configured()
    name = account or call(server, "GET", "/v1/server")["account"]
    sums = {by: call(server, "GET", f"/v1/usage?{urlencode({'by': by, 'limit': 100_000})}&{query}")
            for by in ("day", "function", "label", "type")}  # fmt: skip
    page = made(name, call(server, "GET", f"/v1/credit?{query}"), sums, datetime.now(UTC))
    Path(file).write_text(page, encoding="utf-8")


def made(name: str, credit: dict[str, Any], sums: dict[str, dict[str, Any]], now: datetime) -> str:
    """The page.

    Args:
        name: of the account.
        credit: as the server tells it.
        sums: usage by day, function, label and type.
    """
    total = sums["day"]["total"]
    worked = f"{total['core_hours']:,.2f} core-hours in {total['attempts']:,} attempts"
    subtitle = f"{now:%d %B %Y} · {worked} · {shown(total['amount'])} in all · {shown(credit['left'])} left to spend"
    return _PAGE.format(
        title=f"Grant report: {escape(name)}", subtitle=escape(subtitle), grants=_grants(credit["grants"]),
        chart=_chart(sums["day"]["rows"]), functions=_table(sums["function"], "function"), labels=_table(sums["label"], "label"),
        types=_table(sums["type"], "type"), total=f"{total['amount']:,} units, {3_600_000_000_000:,} of which are $1",
    )  # fmt: skip


def _grants(grants: list[dict[str, Any]]) -> str:
    if not grants:
        return '<p class="faint">None was given; the free hours of each month paid.</p>'
    newest = list(reversed(grants))
    rows = "".join(
        f"<tr><td>{_day(one['begins'])}</td><td>{escape(one['reason']) or '-'}</td><td>{_day(one['ends'])}</td>"
        f'<td class="n">{shown(one["amount"])}</td><td class="n">{shown(one["amount"] - one["left"])}</td>'
        f'<td class="n">{shown(one["left"])}</td></tr>'
        for one in newest[:MOST]
    )
    head = (
        '<tr><th>given</th><th>for</th><th>until</th><th class="n">amount</th><th class="n">used</th><th class="n">left</th></tr>'
    )
    return f"<table>{head}{rows}</table>{_more(len(newest))}"


def _more(count: int) -> str:
    return f'<p class="faint">and {count - MOST} more</p>' if count > MOST else ""


def _day(moment: int | None) -> str:
    return "-" if moment is None else datetime.fromtimestamp(moment / 1000, UTC).date().isoformat()


def _table(found: dict[str, Any], by: str) -> str:
    head = f'<tr><th>{by}</th><th class="n">core-hours</th><th class="n">cost</th></tr>'
    rows = "".join(
        f'<tr><td>{escape(str(row[by])) or "-"}</td><td class="n">{row["core_hours"]:,.2f}</td>'
        f'<td class="n">{shown(row["amount"])}</td></tr>'
        for row in found["rows"][:MOST]
    )
    return f"<table>{head}{rows}</table>{_more(len(found['rows']))}"


def _chart(days: list[dict[str, Any]]) -> str:
    """Bars of the last months that had any work."""
    months: dict[str, int] = defaultdict(int)
    for row in days:
        months[row["day"][:7]] += row["amount"]
    shown_months = sorted(months.items())[-MONTHS:]
    most = max((amount for _, amount in shown_months), default=0) or 1
    bars = "".join(
        f'<rect x="{at * 42 + 4}" y="{54 - 42 * amount / most:.1f}" width="34" height="{42 * amount / most:.1f}"/>'
        f'<text x="{at * 42 + 21}" y="62" text-anchor="middle">{month}</text>'
        f'<text x="{at * 42 + 21}" y="{51 - 42 * amount / most:.1f}" text-anchor="middle">{shown(amount)}</text>'
        for at, (month, amount) in enumerate(shown_months)
    )
    return f'<svg viewBox="0 0 {MONTHS * 42 + 8} 66" width="100%" role="img" aria-label="dollars by month">{bars}</svg>'
