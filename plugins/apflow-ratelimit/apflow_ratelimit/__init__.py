"""A rate limit for the server of apflow."""


class RateLimit:
    """One host's."""
