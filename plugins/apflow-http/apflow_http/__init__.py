"""The executor of apflow that makes HTTP requests."""


class Http:
    """One host's."""
