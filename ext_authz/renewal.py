"""Lets a request with an expired access token in through its refresh token, and gives the browser the new tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from ext_authz.authorization import RequestFacts
from ext_authz.checker import Answer, Checker
from ext_authz.credentials import Headers
from ext_authz.denials import MISSING, Deny, Unavailable, tokens_unavailable
from ext_authz.exchanges import Away, Exchanges, Refused
from ext_authz.refusals import Reason
from ext_authz.rule_book import RuleBook
from ext_authz.rules import JwtCheck, Refresh
from ext_authz.set_cookie import fits, set_cookie
from ext_authz.token_endpoint import Renewed
from ext_authz.token_places import COOKIE, cookie_value, with_cookie

R = TypeVar("R")

_RENEWABLE: Final = frozenset({MISSING, str(Reason.EXPIRED)})
"""Browsers drop cookies that are over, so that there is nothing left to be expired."""


@dataclass(frozen=True, slots=True)
class _Found:
    check: JwtCheck
    refresh: Refresh
    token: str
    """The refresh token."""


class Renewals(Generic[R]):
    """Stands behind ``checker``: what that lets in costs nothing here.

    ``render`` is that of the checker; ``add_cookies`` adds ``Set-Cookie`` headers to a rendered yes or no.
    """

    def __init__(
        self,
        *,
        checker: Checker[R],
        rules: RuleBook,
        exchanges: Exchanges,
        render: Callable[[Deny | Unavailable], R],
        add_cookies: Callable[[R, str, Sequence[str]], R],
        clock: Callable[[], float],
    ) -> None:
        self._checker = checker
        self._rules = rules
        self._exchanges = exchanges
        self._render = render
        self._add_cookies = add_cookies
        self._clock = clock

    async def renew(
        self,
        rule_id: str,
        headers: Headers,
        refused: Answer[R],
        patience: float,
        facts: Callable[[], RequestFacts],
    ) -> Answer[R]:
        """What becomes of a request that the checker ``refused``: most often that.

        Waits up to ``patience`` seconds for the issuer. The new access token has to pass every check of the route.
        """
        if refused.reason not in _RENEWABLE:
            return refused
        found = self._find(rule_id, headers, refused)
        if found is None:
            return refused
        deadline = self._clock() + patience
        outcome = await self._exchanges.exchange(found.check.provider, found.refresh.endpoint, found.token, patience)
        if isinstance(outcome, Away) or (isinstance(outcome, Renewed) and not _fit(found.refresh, outcome)):
            unavailable = tokens_unavailable(found.check.provider)
            return Answer(self._render(unavailable), unavailable.provider, "unavailable", unavailable.reason)
        if isinstance(outcome, Refused):
            return self._with(refused, _taken_away(found.refresh))
        cookies = with_cookie(headers.get(COOKIE) or "", found.refresh.access_cookie, outcome.access_token)
        left = max(0.0, deadline - self._clock())
        answer = await self._checker.check_with_rule(rule_id, _Changed(headers, cookies), left, facts)
        return self._with(answer, _given(found.refresh, outcome))

    def _find(self, rule_id: str, headers: Headers, refused: Answer[R]) -> _Found | None:
        rule = self._rules.get(rule_id, self._clock())
        text = headers.get(COOKIE)
        if rule is None or text is None:
            return None
        for check in rule.jwt:
            refresh = check.refresh
            if refresh is None or refused.provider not in ("", check.provider):
                continue
            token = cookie_value(text, refresh.refresh_cookie)
            is_shown = cookie_value(text, refresh.access_cookie) is not None
            if token and is_shown is (refused.reason != MISSING) and fits(refresh.refresh_cookie, token):
                return _Found(check, refresh, token)
        return None

    def _with(self, answer: Answer[R], cookies: Sequence[str]) -> Answer[R]:
        return replace(answer, rendered=self._add_cookies(answer.rendered, answer.outcome, cookies))


class _Changed:
    """Headers with other cookies."""

    def __init__(self, headers: Headers, cookies: str) -> None:
        self._headers = headers
        self._cookies = cookies

    def get(self, key: str, /) -> str | None:
        return self._cookies if key == COOKIE else self._headers.get(key)


def _fit(refresh: Refresh, renewed: Renewed) -> bool:
    """Whether a browser would keep them; else this would be asked for with every request."""
    return fits(refresh.access_cookie, renewed.access_token) and fits(
        refresh.refresh_cookie, renewed.refresh_token or ""
    )


def _given(refresh: Refresh, renewed: Renewed) -> list[str]:
    cookies = [_written(refresh, refresh.access_cookie, renewed.access_token, renewed.expires_in)]
    if renewed.refresh_token is not None:
        cookies.append(_written(refresh, refresh.refresh_cookie, renewed.refresh_token, refresh.lifetime))
    return cookies


def _taken_away(refresh: Refresh) -> list[str]:
    return [_written(refresh, name, "", 0) for name in (refresh.access_cookie, refresh.refresh_cookie)]


def _written(refresh: Refresh, name: str, value: str, max_age: int | None) -> str:
    return set_cookie(
        name, value, max_age=max_age, path=refresh.path, same_site=refresh.same_site, secure=refresh.secure
    )
