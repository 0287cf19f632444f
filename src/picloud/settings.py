"""Every option of the platform in one table.

An option is read, later ones winning, from: the default below; ``settings.toml`` in ``PICLOUD_HOME``; the environment
variable ``PICLOUD_<NAME>`` in capitals. ``picloud doctor`` prints what is in force.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from picloud.wire.error import SetupError
from picloud.wire.money import HOUR

GIB = 1 << 30
MIB = 1 << 20
MOST_FREE = 1_000_000
"""Hours."""
DEAREST = 1_000_000_000
"""Micro-dollars a core-hour."""


SIGN_UP = ("invited", "open")
METRICS = ("key", "open")
SMTP_TLS = ("starttls", "tls", "none")
ROLES = ("member", "admin", "owner")


class CoreType(Struct, frozen=True):
    """One row of the core-type table: what one core of the type is, and how many a job may ask for."""

    units: int  # compute units, thousandths
    memory: int  # bytes of RAM a core
    multiples: tuple[int, ...]  # allowed values of _cores
    price: int  # micro-dollars a core-hour


CORE_TYPES: dict[str, CoreType] = {
    "c1": CoreType(1000, 300 * MIB, (1,), 50_000),
    "c2": CoreType(2500, 800 * MIB, (1, 2, 4, 8), 130_000),
    "f2": CoreType(5500, 3750 * MIB, (1, 2, 4, 8, 16), 220_000),
    "m1": CoreType(3250, 8192 * MIB, (1, 2, 4, 8), 300_000),
    "s1": CoreType(2000, 300 * MIB, (1,), 40_000),
}


class Settings(Struct, kw_only=True, forbid_unknown_fields=True):
    """The options of one installation. Sizes are bytes, times seconds."""

    home: str = ""  # all state; PICLOUD_HOME
    host: str = ""  # further address to listen on, with TLS; "" = loopback only
    port: int = 7421  # 0 = any free one
    insecure: bool = False  # plain HTTP on ``host``
    ssh_port: int = 0  # of the ssh gateway to running jobs; 0 = any free one, the same after a restart
    port_address: str = "127.0.0.2"  # where the ports of jobs are shown
    port_first: int = 20_000  # first port that a job's port may be shown on
    port_last: int = 29_999  # and last
    proxy_domain: str = "localhost"  # jobs' web pages are shown under names below it
    database: str = ""  # SQLAlchemy URL; "" = SQLite in home
    blobs: str = ""  # URL of an object store, or a folder's absolute path; "" = a folder in home
    default_type: str = ""  # "" = the first of f2, c2, c1 of which one per core fits in RAM
    core_types: dict[str, CoreType] = field(default_factory=lambda: dict(CORE_TYPES))
    units_per_core: int = 8000  # thousandths of a compute unit that one core of the host offers
    memory_reserve: int = GIB  # of the host, kept for everything else
    reservable: float = 0.75  # share of compute units and memory that real-time cores may take; the rest is for everybody
    sandbox: str = ""  # rung of isolation, A to D; "" = the best that works here
    network: bool = True  # jobs may connect to the outside
    private_network: bool = True  # and to addresses of the local network
    slot_disk: int = 10 * GIB  # a job may hold so much on disk, and no more than half of what is free; 0 = no limit
    lease_ms: int = 100  # worth of work that one batch of leases should hold
    reconnect: float = 600.0  # a worker computes on without its server for so long
    drain: float = 10.0  # ``down`` waits so long for running jobs
    handler_idle: float = 20.0  # a handler's job without a message for so long ends
    not_sent_after: float = 600.0  # unsent jids of a vanished client are killed
    idle_slot: float = 300.0  # an idle slot beyond the first of its kind ends after so long
    min_free_disk: int = 2 * GIB  # below it nothing new is accepted
    warn_disk: float = 0.9  # share of a disk in use from which on status, doctor and log warn; 0 = never
    keep_payloads: float = 30 * 86400.0  # arguments, results and logs of a finished job
    keep_jobs: float = 180 * 86400.0  # the rows of finished jobs
    keep_unused: float = 86400.0  # bytes that nothing names any more and nobody has open; then again as long
    keep_audit: float = 400 * 86400.0  # rows of the audit log
    sign_up: str = "invited"  # who may make an account: whoever is "invited", or "open" = everybody
    session: float = 12 * 3600.0  # a login by password or link lasts so long
    public_url: str = ""  # under which people reach this server; links in mails lead there; "" = that of --host, else loopback
    smtp_host: str = ""  # server that mails go out by; "" = none are sent
    smtp_port: int = 0  # 0 = the usual one: 587 with starttls, 465 with tls, 25 with none
    smtp_tls: str = "starttls"  # or "tls" (from the first byte), or "none"
    smtp_user: str = ""  # who logs in there; "" = nobody
    smtp_password_file: str = ""  # file (mode 600) with the password; or PICLOUD_SMTP_PASSWORD in the server's environment
    smtp_from: str = ""  # address that mails come from
    oidc_issuer: str = ""  # URL of a provider of OpenID Connect by which people may log in; "" = none
    oidc_client: str = ""  # the name under which the provider knows this server
    oidc_secret_file: str = ""  # file (mode 600) with the client's secret; or PICLOUD_OIDC_SECRET in the server's environment
    oidc_domains: list[str] = field(default_factory=list)  # domains of e-mail addresses that may; none = all (variable: a,b)
    oidc_sign_up: bool = False  # who is no user here becomes one by her first login
    oidc_account: str = ""  # and joins this account; "" = gets one of her own
    oidc_role: str = "member"  # as this
    bucket_mount: bool = True  # jobs see their bucket as the folder /bucket
    storage_quota: int = 0  # bytes that each account may keep in its bucket and volumes; 0 = no limit
    max_body: int = 64 * MIB  # of one API request
    interpreters: list[str] = field(
        default_factory=list
    )  # with several accounts: folders whose interpreters jobs may use (variable: a:b)
    webhook_networks: list[str] = field(
        default_factory=list
    )  # messages of webhooks may go to these too, as "192.168.7.0/24" (variable: a,b), besides public addresses
    free_hours: int = 20  # of a c1 core, that every account gets each month
    spending_stops: bool = False  # an account without credit, or at its hard limit, begins no further work
    spending_ends: bool = False  # and what it runs is ended, cause spending_limit
    metrics: str = "key"  # who may read /metrics: owners with the scope admin (key), or also this machine without a key (open)
    otlp_endpoint: str = ""  # an OpenTelemetry collector that metrics are sent to every 15 s, as http://HOST:4318; "" = none
    log_head: int = MIB  # first bytes kept of each output stream of a job
    log_tail: int = 10 * MIB  # last bytes kept


def free_amount(settings: Settings) -> int:
    """What the free hours of a month come to, see :mod:`picloud.wire.money`."""
    return settings.free_hours * HOUR * settings.core_types.get("c1", CORE_TYPES["c1"]).price


def networks(settings: Settings) -> list[IPv4Network | IPv6Network]:
    """Where messages of webhooks may go besides public addresses.

    Raises:
        ValueError: one of them is no network.
    """
    return [ip_network(each, strict=False) for each in settings.webhook_networks]


def home() -> Path:
    """The folder of all state: ``PICLOUD_HOME``, else ``~/.picloud``."""
    return Path(os.environ.get("PICLOUD_HOME") or Path.home() / ".picloud").expanduser().absolute()


def load(**overrides: Any) -> Settings:
    """The options in force: defaults, ``settings.toml``, environment, then ``overrides`` (None = not given).

    Raises:
        SetupError: an unknown name or a value of the wrong type, with the file or variable that says so.
    """
    root = home()
    found = _from_file(root / "settings.toml") | _from_environment()
    found |= {name: value for name, value in overrides.items() if value is not None}
    found["home"] = str(root)
    if "core_types" in found:
        found["core_types"] = _merged(found["core_types"], root / "settings.toml")
    known = [one.name for one in msgspec.structs.fields(Settings)]
    for name in found.keys() - set(known):
        near = difflib.get_close_matches(name, known, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise SetupError(f"there is no setting {name!r}", hint=f"{meant}correct it in {root / 'settings.toml'}")
    try:
        return _checked(msgspec.convert(found, Settings, strict=False), root / "settings.toml")
    except msgspec.ValidationError as error:
        said, _, place = str(error).partition(" - at `$.")
        name = place.rstrip("`")
        where = f"PICLOUD_{name.upper()}" if name and f"PICLOUD_{name.upper()}" in os.environ else root / "settings.toml"
        raise SetupError(f"setting {name}: {said}" if name else f"settings: {said}", hint=f"correct it in {where}") from error


def _merged(rows: Any, where: Path) -> dict[str, Any]:
    """The defaults of ``core_types`` with the rows and values of an operator: new types, or other figures of known ones."""
    hint = "a type has units (thousandths), memory (bytes a core), multiples (list of cores), price (micro-dollars a core-hour)"
    made: dict[str, Any] = msgspec.to_builtins(CORE_TYPES)
    for name, row in rows.items() if isinstance(rows, dict) else [("core_types", rows)]:
        if not isinstance(row, dict):
            raise SetupError(f"core type {name!r} is no table in {where}", hint=f"write [core_types.{name}]; {hint}")
        made[name] = {**made.get(name, {}), **row}
        wrong = set(made[name]) ^ set(CoreType.__struct_fields__)
        if wrong:
            told = ", ".join(f"{'knows no' if key in row else 'lacks'} {key}" for key in sorted(wrong))
            raise SetupError(f"core type {name!r} {told}", hint=f"correct it in {where}: {hint}")
    return made


def _checked(settings: Settings, where: Path) -> Settings:
    """Raises SetupError for core types that no job could have, and words that mean nothing."""
    try:
        networks(settings)
    except ValueError as error:
        raise SetupError(f"webhook_networks: {error}", hint=f'correct it in {where}: ["192.168.7.0/24"], say') from error
    if settings.sign_up not in SIGN_UP:
        raise SetupError(f"sign_up cannot be {settings.sign_up!r}", hint=f"correct it in {where}: {' or '.join(SIGN_UP)}")
    if settings.metrics not in METRICS:
        raise SetupError(f"metrics cannot be {settings.metrics!r}", hint=f"correct it in {where}: {' or '.join(METRICS)}")
    if settings.otlp_endpoint and not settings.otlp_endpoint.startswith(("http://", "https://")):
        raise SetupError(f"otlp_endpoint cannot be {settings.otlp_endpoint!r}", hint=f"correct it in {where}: http://HOST:4318")
    if settings.smtp_tls not in SMTP_TLS:
        raise SetupError(f"smtp_tls cannot be {settings.smtp_tls!r}", hint=f"correct it in {where}: {' or '.join(SMTP_TLS)}")
    if settings.public_url and not settings.public_url.startswith(("http://", "https://")):
        raise SetupError(f"public_url cannot be {settings.public_url!r}", hint=f"correct it in {where}: https://NAME")
    if settings.oidc_role not in ROLES:
        raise SetupError(f"oidc_role cannot be {settings.oidc_role!r}", hint=f"correct it in {where}: {' or '.join(ROLES)}")
    for name, kind in settings.core_types.items():
        if min(kind.units, kind.memory, *kind.multiples, 1) < 1 or not kind.multiples or not 0 <= kind.price <= DEAREST:
            hint = f"correct it in {where}: units, memory and the multiples are above 0, the price is from 0 to {DEAREST:,}"
            raise SetupError(f"core type {name!r} cannot be: {kind}", hint=hint)
    if not 0 <= settings.reservable <= 1:
        raise SetupError(f"reservable cannot be {settings.reservable:g}", hint=f"correct it in {where}: a share from 0 to 1")
    if not 0 <= settings.free_hours <= MOST_FREE:
        raise SetupError(f"free_hours cannot be {settings.free_hours}", hint=f"correct it in {where}: 0 to {MOST_FREE:,}")
    if settings.default_type and settings.default_type not in settings.core_types:
        hint = f"the core types are {', '.join(settings.core_types)}"
        raise SetupError(f"default_type {settings.default_type!r} is not a core type", hint=hint)
    return settings


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):  # whether the home is one, its check says better
        return {}
    except PermissionError as error:
        what = path if os.path.exists(path) else path.parent
        hint = "it is another user's: set PICLOUD_HOME to a folder of your own"
        raise SetupError(f"{what} may not be read by this user", hint=hint) from error
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SetupError(f"cannot read {path}: {error}", hint="correct or remove it") from error


def _from_environment() -> dict[str, Any]:
    names = {name for name in Settings.__struct_fields__ if name not in ("home", "core_types")}
    found: dict[str, Any] = {
        name: os.environ[f"PICLOUD_{name.upper()}"] for name in names if f"PICLOUD_{name.upper()}" in os.environ
    }
    if "oidc_domains" in found:
        found["oidc_domains"] = [domain.strip() for domain in found["oidc_domains"].split(",") if domain.strip()]
    if "webhook_networks" in found:
        found["webhook_networks"] = [network.strip() for network in found["webhook_networks"].split(",") if network.strip()]
    if "interpreters" in found:
        found["interpreters"] = [folder for folder in found["interpreters"].split(os.pathsep) if folder]
    return found


def choose_default_type(settings: Settings, cores: int, memory: int) -> str:
    """The core type of a job that names none (the setting, else the first of f2, c2, c1 that fits one per core)."""
    if settings.default_type:
        return settings.default_type
    for name in ("f2", "c2", "c1"):
        kind = settings.core_types.get(name)
        if kind and kind.memory * cores <= memory - settings.memory_reserve:
            return name
    return "c1"
