"""Secrets for apflow: named in tasks, kept outside of them."""


class Secrets:
    """One host's."""
