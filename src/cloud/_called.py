"""What a job of a published function runs: it reads JSON, calls, and answers JSON or bytes. Standard library and our floor."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from cloud._program import Command, File, Program, run


class Answer:
    """A result as JSON. Whoever loads it gets the value; whoever only reads bytes finds the text in it."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def __reduce__(self) -> tuple[Any, ...]:
        return json.loads, (self.text,)

    def __repr__(self) -> str:
        return self.text[:400].decode(errors="replace")


class Called:
    """A function that is called with JSON.

    Args:
        function: the published one.
        encoding: of its answer, "json" or "raw".
    """

    def __init__(self, function: Callable[..., Any], encoding: str) -> None:
        self.function, self.encoding = function, encoding

    def __call__(self, text: bytes, files: dict[str, bytes]) -> Any:
        value = self.function(**json.loads(text), **files)
        return _raw(value) if self.encoding == "raw" else _json(value)


def _json(value: Any) -> Answer:
    try:
        return Answer(json.dumps(value, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"the function returned what JSON cannot say: {error} (out_encoding='raw' takes bytes)") from error


def _raw(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"with out_encoding='raw' the function returns bytes, not {type(value).__name__}")
    return bytes(value)


class Filled:
    """A command line whose parameters are posted.

    Args:
        program: what people call it.
        command: the template and how it runs.
    """

    def __init__(self, program: Program, command: Command) -> None:
        self.program, self.command = program, command

    def __call__(self, **given: Any) -> bytes:
        files = {name: File(name, value) for name, value in given.items() if isinstance(value, bytes)}
        values = {name: value for name, value in given.items() if name not in files}
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
        known = self.command
        made = Command(known.template, texts, files, known.return_file, known.ignore_exit_status, known.cwd)
        return run(made, self.program.common)
