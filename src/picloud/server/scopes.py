"""What routes need of a key: each the scopes of which it must have all of one line."""

from __future__ import annotations

from picloud.wire.scope import Scope

Scopes = tuple[Scope, ...]
"""Alternatives; one of them, whole, is enough."""

ANY: Scopes = (Scope(0),)
JOBS, CODE, BUCKET, QUEUE, ADMIN = (Scope.jobs,), (Scope.code,), (Scope.bucket,), (Scope.queue,), (Scope.admin,)
INVOKE: Scopes = (Scope.jobs, Scope.address)
CALL, ATTACH = (Scope.jobs | Scope.code,), (Scope.queue | Scope.code,)
BLOBS = (Scope.jobs, Scope.bucket, Scope.queue)
ASK_JOBS, ASK_CODE, ASK_BUCKET, ASK_QUEUE, ASK_ADMIN, ASK_BLOBS = (
    (Scope.read, *own) for own in (JOBS, CODE, BUCKET, QUEUE, ADMIN, BLOBS)
)
ASK_ADDRESS: Scopes = (Scope.read, *INVOKE)
"""What only asks is open to ``read`` too."""
