from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from samples import Vault

from apflow.testing import engine_of
from apflow_hookspecs import executor
from apflow_hookspecs.errors import ApflowError
from apflow_jsonschema import JsonSchemas


@executor("give")
async def give(value=None):
    return value


class Take:
    """Says what it takes, and gives it back."""

    id = "take"
    input_schema = {
        "type": "object",
        "required": ["count"],
        "properties": {"count": {"type": "integer"}},
        "additionalProperties": False,
    }
    output_schema = {"type": "string"}

    async def execute(self, inputs):
        return inputs


class Anything:
    """Takes anything, and gives it back."""

    id = "any"

    async def execute(self, inputs):
        return inputs


class Broken(Anything):
    """Says what it takes in a schema that is none."""

    id = "broken"
    input_schema = {"type": "colour"}


@pytest.fixture
def engine():
    """Open an engine with the plugin, these executors, and other plugins beside it."""

    @asynccontextmanager
    async def opened(plugins=(), **options):
        beside = {"jsonschema": JsonSchemas(), "vault": Vault(), **dict(plugins)}
        async with engine_of(give, Take(), Anything(), Broken(), plugins=beside, **options) as engine:
            yield engine

    return opened


@pytest.fixture
def create(engine):
    """Create a tree; what was refused, in lines."""

    async def problems(tasks, **options):
        async with engine(**options) as opened:
            try:
                await opened.creator.create_task_tree_from_array(tasks)
            except ApflowError as refused:
                return [str(problem) for problem in refused.problems]
            return []

    return problems


@pytest.fixture
def run(engine):
    """Create and run a tree."""

    async def settled(tasks, **options):
        async with engine(**options) as opened:
            return await opened.manager.distribute_task_tree(await opened.creator.create_task_tree_from_array(tasks))

    return settled
