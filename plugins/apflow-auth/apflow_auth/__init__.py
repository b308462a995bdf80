"""Credentials for the server of apflow: bearer tokens and JSON Web Tokens."""


class Auth:
    """One host's."""
