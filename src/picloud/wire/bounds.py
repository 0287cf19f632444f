"""What comes from outside, as the OpenAPI document tells it; numbers no larger than a column of the database holds."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Token = Annotated[str, Meta(extra_json_schema={"pattern": "^([0-9a-f]{32})?$"})]
"""16 bytes in hexadecimal, made anew for each request: a repeat with the same token is the same request."""
Number = Annotated[int, Meta(ge=0, lt=1 << 62)]
"""A count, a size in bytes, an id, a time in epoch ms."""
