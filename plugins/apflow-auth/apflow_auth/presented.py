"""The token that a request shows, in one header `Authorization: Bearer TOKEN` (RFC 6750, section 2.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from apflow_auth.refusal import InvalidToken

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

LONGEST = 16 * 1024
"""Characters of a header that are looked at; a longer one is refused unread."""

_BEARER = re.compile(r"bearer ([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
_IN_QUERY = frozenset({"token", "access_token"})


def token_of(request: HTTPConnection) -> str | None:
    """The token of a request; None where it shows none, or a credential of another kind.

    Raises:
        InvalidToken: It shows several, one in its address, or one that cannot be a token.
    """
    if request.scope["query_string"] and any(name.lower() in _IN_QUERY for name in request.query_params):
        raise InvalidToken("a token belongs into the header Authorization, and never into the address, which logs keep")
    shown = request.headers.getlist("authorization")
    if not shown:
        return None
    if len(shown) > 1 or len(shown[0]) > LONGEST:
        raise InvalidToken
    if shown[0].partition(" ")[0].lower() != "bearer":
        return None
    found = _BEARER.fullmatch(shown[0])
    if found is None:
        raise InvalidToken
    return found[1]
