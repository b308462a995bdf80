import pytest

from apflow.testing import engine_of
from apflow.testing.policies import PolicyContract
from apflow_cache import Cache


class TestCache(PolicyContract):
    options = {"ttl": 60}

    @pytest.fixture
    async def policy(self):
        cache = Cache()
        async with engine_of(plugins={"cache": cache}) as engine:
            yield engine.host.policies["cache"]
