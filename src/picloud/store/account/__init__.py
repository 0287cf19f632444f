"""Accounts, their API keys, their users, and the tickets that let a browser in.

    create(tx, name, now) -> int                        BadRequest: bad or reserved name; Conflict: taken
    by_name(tx, name) -> int                            NotFound
    get(tx, account) -> Account                         NotFound
    every(tx) -> list[Account]                          but those that are removed
    closed(tx) -> set[int]                              those that are off, or removed
    switch(tx, account, active) / check_active(tx, account)      NotFound
    key_create(tx, account, now, note="", ..) -> (key, secret)      the secret is shown this once
    key_check(tx, key, secret, now) -> Shown            NotAuthorized
    key_known(tx, key) -> bool
    keys(tx, account, person=0) -> list[Key]
    key_change(tx, account, key, change) / key_rotate(tx, account, key, now, overlap_ms) -> secret      NotFound
    key_revoke(tx, account, key, now)                   NotFound
    ticket_create(tx, account, now, lifetime_ms) -> ticket
    ticket_redeem(tx, ticket, now, lifetime_ms) -> token        once; NotAuthorized
    token_check(tx, token, now) -> Shown                NotAuthorized
    token_opens(tx, sha256, now) -> list[int]           the account whose jobs it may enter
    expire(tx, now)                                     removes old tickets, tokens and invitations

Users are :mod:`~picloud.store.account.user`, links that invite or let a new password be set
:mod:`~picloud.store.account.invitation`, the end of an account
:mod:`~picloud.store.account.removal`. Secrets are random, kept only as sha256 and compared in constant time.
"""

from picloud.store.account.account import NAME, RESERVED, Account, by_name, check_active, closed, create, every, get, switch
from picloud.store.account.key import (
    Change,
    Key,
    Shown,
    key_change,
    key_check,
    key_create,
    key_get,
    key_known,
    key_revoke,
    key_rotate,
    keys,
)
from picloud.store.account.session import (
    expire,
    session_create,
    session_end,
    ticket_create,
    ticket_redeem,
    token_check,
    token_opens,
)

__all__ = [
    "NAME", "RESERVED", "Account", "Change", "Key", "Shown", "by_name", "check_active", "closed", "create", "every", "expire",
    "get", "key_change", "key_check", "key_create", "key_get", "key_known", "key_revoke", "key_rotate", "keys", "session_create",
    "session_end", "switch", "ticket_create", "ticket_redeem", "token_check", "token_opens",
]  # fmt: skip
