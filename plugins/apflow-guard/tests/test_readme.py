from __future__ import annotations

import re
from pathlib import Path

import pytest
from attrs import fields

from apflow.testing import engine_of
from apflow_guard import GuardOptions, Refused

from .conftest import reply

README = (Path(__file__).parents[1] / "README.md").read_text()
EXAMPLE, *_ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


async def test_the_plugin_that_is_shown_works(serve):
    server = await serve(reply(b"hello"))
    shown = {}
    exec(EXAMPLE, shown)  # noqa: S102 - what is shown is tried
    pages = shown["Pages"]()
    async with engine_of(plugins={"pages": pages}, sections={"guard": {"allow": [f"127.0.0.1:{server.port}"]}}):
        assert await pages.page(server.url) == "hello"
        with pytest.raises(Refused):
            await pages.page("http://127.0.0.1/")


def test_every_option_is_described():
    assert re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE) == [attribute.name for attribute in fields(GuardOptions)]
