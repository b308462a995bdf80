"""Requests that leave apflow, kept from where they must not go: a guarded transport for httpx."""
