"""What open pages watch: answers of GET routes, told again whenever they have changed.

Each question is asked once for all pages that ask it, and only while there are some; see docs/explain/dashboard.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypedDict

from picloud.server.changes import Watcher
from picloud.server.http import Request
from picloud.server.inner import Question, Told, ask, question, refused
from picloud.server.pace import Pace
from picloud.wire.error import CloudException, TooMany, Unavailable

if TYPE_CHECKING:
    from picloud.server.control import Control

MOST = 2000
"""Pages of one account that are open at a time."""
STUCK = 2
"""Looks at a page, one after the other, at which it has not taken what was sent: then it is dropped."""


class Page(Watcher):
    """One open page: what it watches, and what it knows of that.

    Args:
        account: whose it is.
        send: see :class:`Watcher`.
    """

    def __init__(self, account: int, send: Callable[[bytes], Coroutine[Any, Any, None]]) -> None:
        super().__init__(send)
        self.account = account
        self.marks: dict[Question, str] = {}
        self._stuck = 0

    def tell(self, asked: Question, news: Told) -> None:
        """Send an answer, unless it is known. A page that is behind gets the newest when it has caught up."""
        if self.marks.get(asked) != news.mark and not self.behind:
            self.marks[asked] = news.mark
            self.offer(news.line)

    def beat(self, sign: bytes) -> None:
        """Send a sign of life if nothing else was sent since the last one; drop a page that takes nothing."""
        self._stuck = self._stuck + 1 if self.behind else 0
        if self._stuck >= STUCK:
            self.close()
        elif self.quiet and not self.behind:
            self.offer(sign)
        self.quiet = True


class Watched:
    """A question, who asks it, and the newest answer."""

    def __init__(self, asked: Question) -> None:
        self.asked = asked
        self.pages: set[Page] = set()
        self.news: Told | None = None


class PagesShown(TypedDict):
    """How much is watched."""

    open: int  # pages
    watched: int  # different questions that they ask


class Views:
    """All open pages."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._watched: dict[Question, Watched] = {}
        self._pages: set[Page] = set()
        self._open: Counter[int] = Counter()  # by account
        self._pace: Pace[Watched] = Pace(self._look)
        self._closed = False
        self.asked = 0  # so often a question was asked

    @property
    def idle(self) -> bool:
        """Whether nobody watches anything, and nothing is done for it."""
        return not self._pages and self._pace.idle

    def shown(self, account: int | None) -> PagesShown:
        """How much an account watches; None = all of them."""
        pages = [one for one in self._pages if account in (None, one.account)]
        watched = [one for one in self._watched if account in (None, one.principal.account)]
        return {"open": len(pages), "watched": len(watched)}

    def open(self, account: int, send: Callable[[bytes], Coroutine[Any, Any, None]]) -> Page:
        """A page begins; end it with :meth:`leave`.

        Raises:
            TooMany: the account has many open already.
            Unavailable: the server stops: the next one will tell.
        """
        if self._closed:
            raise Unavailable("the server stops", hint="ask again")
        if self._open[account] >= MOST:
            raise TooMany(f"{MOST} pages of this account are open", hint="close some of them")
        page = Page(account, send)
        self._pages.add(page)
        self._open[account] += 1
        return page

    def watch(self, page: Page, request: Request, path: str, mark: str) -> None:
        """Tell a page what a path answers: soon, unless that has the mark it knows; and again whenever it has changed.

        A path that cannot be watched is answered by the error, once.
        """
        try:
            asked = question(self._control, request, path)
        except CloudException as error:
            news = refused(path, error)
            if news.mark != mark:
                page.offer(news.line)
            return
        page.marks[asked] = mark
        watched = self._watched.get(asked)
        if watched is None:
            watched = self._watched[asked] = Watched(asked)
            self._pace.add(page.account, watched)
        watched.pages.add(page)
        if watched.news is not None:
            page.tell(asked, watched.news)

    def leave(self, page: Page) -> None:
        """A page ends."""
        page.close()
        page.leave()
        self._pages.discard(page)
        self._open[page.account] -= 1
        if not self._open[page.account]:
            del self._open[page.account]
        for asked in page.marks:
            watched = self._watched.get(asked)
            if watched is not None:
                watched.pages.discard(page)
                if not watched.pages:
                    del self._watched[asked]
                    self._pace.drop(watched)

    def close(self) -> None:
        """End all streams, now and from now on."""
        self._closed = True
        for page in self._pages:
            page.close()
        self._pace.close()

    async def _look(self, watched: Watched) -> None:
        self.asked += 1
        watched.news = await ask(self._control, watched.asked)
        for page in list(watched.pages):
            page.tell(watched.asked, watched.news)
