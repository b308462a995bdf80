"""What the operator says about the rate limit: the section `[ratelimit]` of the configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Literal

from attrs import Attribute, field, frozen
from limits import RateLimitItem, parse

from apflow_hookspecs.errors import shortened

RATE = re.compile(r"\s*[1-9]\d{0,8}\s*(/|per\s)\s*([1-9]\d{0,5}\s+)?(second|minute|hour|day)s?\s*", re.IGNORECASE)
MEMORY = "memory:"
REDIS = ("redis://", "rediss://", "redis+unix://")
LONGEST_ANSWER = 4
"""Seconds; the server gives the hooks of a plugin five."""

Network = IPv4Network | IPv6Network


def _rate(text: str, of: str) -> RateLimitItem:
    if not RATE.fullmatch(text):
        rule = "so many requests in so many seconds, minutes, hours or days, as '600/minute' or '5/10 seconds'"
        raise ValueError(f"{of} = {shortened(text)}: must be {rule}")
    return parse(text)


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        rule = "must be an address or a network, as '10.0.0.5' or '10.0.0.0/8'"
        raise ValueError(f"trusted_proxies: {shortened(text)} {rule}") from None


def _timely(_: Any, attribute: Attribute[float], value: float) -> None:
    if not 0 < value <= LONGEST_ANSWER:
        raise ValueError(f"{attribute.name} = {shortened(value)}: must be above 0 and at most {LONGEST_ANSWER} seconds")


def _positive(_: Any, attribute: Attribute[int], value: int) -> None:
    if value < 1:
        raise ValueError(f"{attribute.name} = {shortened(value)}: must be at least 1")


@frozen
class Options:
    """The section `[ratelimit]`.

    Args:
        rate: Requests of one caller, of all kinds: `600/minute`, `5/10 seconds`. A batch counts for each of its operations.
        operations: A rate for each operation that has one of its own, beside `rate`: `{"tasks.create": "60/minute"}`.
        storage: Where it is counted: `memory:`, which each server has for itself, or the URL of a Redis, which servers share.
        when_away: What becomes of requests while Redis does not answer: `allow` lets them in uncounted, `refuse` answers 503.
        storage_timeout: Seconds in which Redis has to answer.
        trusted_proxies: Addresses and networks of proxies whose `X-Forwarded-For` tells the caller's address.
        max_counts: Counts that are held in memory; the one that was used longest ago is forgotten first.
    """

    rate: str = "600/minute"
    operations: Mapping[str, str] = field(factory=dict)
    storage: str = field(default=MEMORY, repr=False)
    when_away: Literal["allow", "refuse"] = "allow"
    storage_timeout: float = field(default=1.0, validator=_timely)
    trusted_proxies: tuple[str, ...] = ()
    max_counts: int = field(default=100_000, validator=_positive)

    def __attrs_post_init__(self) -> None:
        if self.storage != MEMORY and not self.storage.startswith(REDIS):
            raise ValueError(f"storage: must be {MEMORY!r}, or begin with one of {', '.join(map(repr, REDIS))}")
        self.rates()
        self.proxies()

    def rates(self) -> tuple[RateLimitItem, Mapping[str, RateLimitItem]]:
        """The rate of all requests, and those of operations by their names.

        Raises:
            ValueError: One is none.
        """
        of_operations = {name: _rate(text, f"operations.{name}") for name, text in self.operations.items()}
        return _rate(self.rate, "rate"), of_operations

    def proxies(self) -> tuple[Network, ...]:
        """The trusted proxies as networks.

        Raises:
            ValueError: One is none.
        """
        return tuple(map(_network, self.trusted_proxies))
