"""Why a credential does not count. More is not told: who guesses learns nothing from it."""

from __future__ import annotations

from apflow_hookspecs.errors import PermissionDenied


class InvalidToken(PermissionDenied):
    """The token is invalid."""


class ExpiredToken(PermissionDenied):
    """The token has expired."""
