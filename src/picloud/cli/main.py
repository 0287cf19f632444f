"""``picloud``: the list of commands, the exit codes, and nothing that would make ``--help`` slow.

Exit codes: 0 done, 1 unexpected, 2 wrong usage, 3 a CloudException (its text on stderr; with ``--json`` as JSON there).
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import re
import sys
from collections.abc import Sequence

import click

from picloud import __version__
from picloud.cli.flags import GlobalFlags, wants_json
from picloud.wire.error import CloudException

FULL = "the answer could not be written: no space left on the device"
UNEXPECTED, USAGE, CLOUD, INTERRUPTED = 1, 2, 3, 130

COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Server": {
        "up": ("server:up", "Start the server in the background."),
        "down": ("server:down", "Stop the server and everything it started."),
        "restart": ("server:restart", "Stop only the server and start it anew; jobs run on."),
        "serve": ("server:serve", "Run the server in the foreground."),
        "status": ("status:status", "Tell of the server, or of jobs."),
        "login-link": ("status:login_link", "Print a link that logs a browser in, once."),
        "types": ("types:types", "List the core types."),
        "doctor": ("doctor:doctor", "Check this machine and print the remedies."),
        "du": ("du:du", "Tell what takes room, by account and kind."),
        "gc": ("du:gc", "Remove now what is old or unused."),
        "service": ("service:service", "Start the server with the machine (systemd)."),
        "backup": ("backup:backup", "Copy the whole installation while it serves."),
        "restore": ("backup:restore", "Make an installation of a backup."),
        "resume": ("backup:resume", "Let jobs run that a restored server holds."),
    },
    "Jobs": {
        "exec": ("program:execute", "Run a program as a job; prints its jid."),
        "mapexec": ("program:execute_map", "Run a program once per value; prints the jids."),
        "join": ("job:join", "Wait until jobs have finished."),
        "result": ("job:result", "Print what jobs returned."),
        "info": ("job:info", "Print everything about jobs."),
        "logs": ("logs:logs", "Print what a job prints, also live."),
        "jobs": ("job:jobs", "List jobs, newest first."),
        "kill": ("job:kill", "End jobs."),
        "delete": ("job:delete", "Erase finished jobs."),
        "rerun": ("job:rerun", "Run jobs again; prints the new jids."),
    },
    "Money": {
        "usage": ("usage:usage", "What was used and what it cost."),
        "credit": ("usage:credit", "What there is to spend."),
        "grant": ("grant:grant", "Apply for credit at a call."),
    },
    "Storage": {
        "bucket": ("bucket:bucket", "The bucket: objects by key."),
        "volume": ("volume:volume", "Volumes: folders that jobs mount."),
    },
    "Queues": {
        "queue": ("queue:queue", "Queues: messages that stay until they are handled."),
    },
    "Without you": {
        "cron": ("cron:cron", "Programs that run at given times."),
        "realtime": ("realtime:realtime", "Cores that are kept ready."),
        "rest": ("rest:rest", "Programs that any other program calls by HTTP."),
    },
    "Secrets and webhooks": {
        "secret": ("secret:secret", "Secrets: values that jobs get and nobody sees."),
        "webhook": ("webhook:webhook", "Webhooks: who is told when jobs end."),
    },
    "File systems": {
        "env": ("env:env", "Environments: what jobs find installed."),
    },
    "In running jobs": {
        "exec-shell": ("shell:exec_shell", "Start a job to work in by hand, and enter it."),
        "ssh": ("shell:ssh", "Enter a running job, or run a program there."),
        "ssh-info": ("shell:ssh_info", "Print how any ssh client enters a job."),
        "wait-for": ("wait:wait_for", "Wait for a job's status or port."),
        "open": ("wait:open_page", "Print a link to a job's web page."),
    },
    "Setting up": {
        "setup": ("setup:setup", "Use a server from this machine and user."),
        "keys": ("keys:keys", "API keys of your account."),
        "sign-up": ("signup:sign_up", "Join a server by a link, and use it from here."),
        "password": ("signup:password", "Set your password, by a link or the former one."),
        "admin": ("admin:admin", "Accounts, users, keys, and the audit log."),
        "completion": ("setup:completion", "Print the shell's completion script."),
    },
}
"""Section -> command -> where it is ("module:name" below picloud.cli) and its one line of help.

The lines stand here so that ``picloud --help`` loads no command."""


class Commands(GlobalFlags, click.Group):
    """The commands, each loaded when it is used."""

    flags_hidden = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for section in COMMANDS.values():
            if cmd_name in section:
                module, _, name = section[cmd_name][0].partition(":")
                found: click.Command = getattr(importlib.import_module(f"picloud.cli.{module}"), name)
                return found
        return None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 1)
            ctx.fail(f"no command {args[0]!r}{f': did you mean {near[0]}?' if near else ''}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, members in COMMANDS.items():
            with formatter.section(section):
                formatter.write_dl([(name, text) for name, (_, text) in members.items()])


@click.group(cls=Commands, invoke_without_command=True)
@click.version_option(__version__, message="picloud %(version)s")
@click.pass_context
def picloud(context: click.Context) -> None:
    """The cloud, from your prompt, on machines you own.

    Global flags may also follow the command.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        context.exit(1)


def main(words: Sequence[str] | None = None) -> None:
    """Run ``picloud`` with ``words`` (default: the command line) and exit."""
    sys.exit(run(list(sys.argv[1:] if words is None else words)))


def run(words: list[str]) -> int:
    """Run ``picloud`` and return the exit code."""
    _open_closed()
    try:
        _check_text(words)
        code = picloud.main(args=words, prog_name="picloud", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        return _wrong(error, words)
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except CloudException as error:
        _report(words, dict(error.to_dict()), _shown(error))
        return CLOUD
    except OSError as error:
        return _unwritten(error, words)
    except Exception as error:  # noqa: BLE001 - the outermost frame: what nobody foresaw is shown whole
        return _unexpected(error, words)


def _open_closed() -> None:
    """Streams that the caller closed (``>&-``) lead nowhere; without this they would be None, and sockets take their numbers."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115 open as long as we run


def _unwritten(error: OSError, words: list[str]) -> int:
    """An answer that nobody can read any more (`| head`), or that finds no room; anything else was not foreseen."""
    if error.errno not in (errno.EPIPE, errno.ENOSPC) or error.filename:
        return _unexpected(error, words)
    # Nothing more may be written, not even by the interpreter's own flush.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == errno.ENOSPC:
        _report(words, {"code": "unexpected", "message": FULL}, FULL)
    return UNEXPECTED


def _check_text(words: list[str]) -> None:
    """Refuse bytes that are not UTF-8: they could neither be sent nor stored as text."""
    for word in words:
        if not word.isascii() and any("\ud800" <= sign <= "\udfff" for sign in word):
            raise click.UsageError(f"not UTF-8: {word!r}")


_FRAMES = re.compile(
    r"\n\nTraceback in the job:\nTraceback \(most recent call last\):\n  File \"[^\"\n]*/cloud/_program\.py\".*?(?=\nTIP: |\Z)",
    re.DOTALL,
)
"""The traceback of a program that was ended from outside: it shows only how we waited for it."""


def _shown(error: CloudException) -> str:
    """The text of an error. Of a program that failed, without the frames of ours that ran it."""
    kind = str(getattr(getattr(error, "failure", None), "type", ""))
    if not kind.endswith("CloudException"):
        return _FRAMES.sub("", str(error))
    message = error.parameter.partition("\n\nTraceback in the job:")[0].removeprefix(f"{kind}: ")
    return message if error.jid is None else f"Job {error.jid}: {message}"


def _wrong(error: click.ClickException, words: list[str]) -> int:
    if wants_json(words):
        _report(words, {"code": "usage", "message": error.format_message()}, "")
    else:
        error.show()
    return error.exit_code


def _unexpected(error: Exception, words: list[str]) -> int:
    import traceback

    text = "".join(traceback.format_exception(error))
    _report(words, {"code": "unexpected", "message": f"{type(error).__name__}: {error}", "traceback": text}, text.rstrip())
    return UNEXPECTED


def _report(words: list[str], error: dict[str, object], text: str) -> None:
    print(json.dumps({"error": error}, default=repr) if wants_json(words) else text, file=sys.stderr)
