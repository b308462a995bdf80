"""How long to wait before the next attempt."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from apflow_retry.errors import causes
from apflow_retry.options import LONGEST, RetryOptions

MOST_DOUBLINGS = 1000
"""2.0 to a higher power is no float any more."""


def delay_after(attempt: int, options: RetryOptions, random: Random) -> float:
    """Seconds between an attempt, counted from 1, and the next.

    The growing delay is cut to its longest before it is drawn from, as in Marc Brooker, "Exponential Backoff And Jitter"
    (AWS Architecture Blog, 2015). There `full` costs clients that failed together the fewest calls, so it is the default.
    """
    growth = {"fixed": 1.0, "linear": float(attempt), "exponential": 2.0 ** min(attempt - 1, MOST_DOUBLINGS)}[options.backoff]
    delay = min(options.delay * growth, options.longest_delay)
    least = {"full": 0.0, "equal": delay / 2, "none": delay}[options.jitter]
    return random.uniform(least, delay)


def asked_for(error: BaseException) -> float:
    """Seconds that an error asks to be left alone: its `retry_after`, or that of what caused it; 0 where none does.

    A number of seconds or a `timedelta` counts, as with HTTP's `Retry-After` (RFC 9110, 10.2.3); anything else does not.
    """
    for each in causes(error):
        asked = getattr(each, "retry_after", None)
        seconds = asked.total_seconds() if isinstance(asked, timedelta) else asked
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds >= 0:
            return float(min(seconds, LONGEST))
    return 0.0
