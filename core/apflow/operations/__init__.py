"""The operations: what every front end (CLI, JSON-RPC, A2A, MCP, dashboard) can ask of an engine, each declared once."""

from apflow.operations import copying, editing, explaining, history, reading, running, system, validating, writing
from apflow.operations.catalogue import Catalogue
from apflow_hookspecs import Operation

OPERATIONS: tuple[Operation, ...] = (
    *reading.OPERATIONS,
    *history.OPERATIONS,
    *explaining.OPERATIONS,
    *writing.OPERATIONS,
    *copying.OPERATIONS,
    *editing.OPERATIONS,
    *validating.OPERATIONS,
    *running.OPERATIONS,
    *system.OPERATIONS,
)

CATALOGUE = Catalogue(OPERATIONS)
"""The host's own."""

__all__ = ["CATALOGUE", "OPERATIONS", "Catalogue"]
