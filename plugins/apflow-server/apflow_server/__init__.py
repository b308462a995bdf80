"""The server of apflow: its operations over HTTP."""


class Server:
    """One host's."""
