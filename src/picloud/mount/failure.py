"""What went wrong, as programs are told: an errno."""

from __future__ import annotations

import errno
import logging

from picloud.wire.error import BadRequest, CloudException, Conflict, Forbidden, NotAuthorized, NotFound, StorageFull, TooLarge

log = logging.getLogger(__name__)

NUMBERS: tuple[tuple[type[CloudException], int], ...] = (
    (StorageFull, errno.ENOSPC),
    (NotFound, errno.ENOENT),
    (TooLarge, errno.EFBIG),
    (Conflict, errno.EEXIST),
    (BadRequest, errno.EINVAL),
    (NotAuthorized, errno.EACCES),
    (Forbidden, errno.EACCES),
)


def number_of(error: BaseException) -> int:
    """The errno of an exception; what nobody foresaw is EIO, and logged whole."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    for kind, number in NUMBERS:
        if isinstance(error, kind):
            return number
    if isinstance(error, CloudException):
        log.error("the server did not do that: %s", error.parameter)
    else:
        log.error("a request failed", exc_info=error)
    return errno.EIO


def refused(number: int) -> OSError:
    """An exception that becomes this errno."""
    return OSError(number, errno.errorcode[number])
