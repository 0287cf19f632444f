"""``picloud types``: the core types of the server."""

from __future__ import annotations

from picloud.cli import output
from picloud.cli.call import call, configured
from picloud.cli.flags import as_json, command


@command("types")
def types() -> None:
    """List the core types of the server, for -t/--type and _type.

    An operator adds or changes them in settings.toml, by a table [core_types.NAME].
    """
    found = call(configured(), "GET", "/v1/server")
    rows = [
        {
            "type": name,
            "units": kind["units"] / 1000,
            "memory": f"{kind['memory'] >> 20} MB" if not as_json() else kind["memory"],
            "cores": ",".join(map(str, kind["multiples"])) if not as_json() else kind["multiples"],
            "price": f"${kind['price'] / 1e6:g}" if not as_json() else kind["price"],
            "default": "yes" if name == found["default_type"] else "" if not as_json() else False,
        }
        for name, kind in found["core_types"].items()
    ]
    output.table(("type", "units", "memory", "cores", "price", "default"), rows)
