"""Output is bounded, however much a command writes."""

from __future__ import annotations

import pytest

from apflow_hookspecs import TaskFailed


async def test_of_too_much_output_the_beginning_and_the_end_are_kept(execute, python):
    program = "print('begin', '.' * 50_000_000, 'end')"
    result = await execute(command=python(program), max_output=1000)
    left_out = result["left_out"]["stdout"]
    assert left_out == 50_000_011 - 1000
    assert result["stdout"].startswith("begin ....")
    assert f"\n… {left_out} bytes left out …\n" in result["stdout"]
    assert result["stdout"].endswith(".... end")
    assert "stderr" not in result["left_out"]


@pytest.mark.parametrize("length", [0, 1, 9, 10])
async def test_output_within_the_limit_is_whole(execute, python, length):
    result = await execute(command=python(f"print('x' * {length}, end='')"), max_output=10)
    assert result["stdout"] == "x" * length
    assert "left_out" not in result


@pytest.mark.parametrize("limit", [0, 1, 2, 3])
async def test_the_smallest_limits_hold(execute, python, limit):
    result = await execute(command=python("print('abcdefgh', end='')"), max_output=limit)
    assert result["left_out"] == {"stdout": 8 - limit}
    assert sum(result["stdout"].count(letter) for letter in "ah") == min(limit, 2)


async def test_a_bomb_on_both_streams_ends_with_its_time(execute, python):
    program = "import os\nwhile True: os.write(1, b'x' * 65536); os.write(2, b'y' * 65536)"
    with pytest.raises(TaskFailed, match=r"took longer than 0\.5 s") as failure:
        await execute(command=python(program), timeout=0.5)
    details = failure.value.details
    assert set(details["stdout"]) == {"x"}
    assert set(details["stderr"]) == {"y"}
    assert len(details["stdout"]) == 4000


async def test_an_error_carries_the_end_of_the_output(execute, python):
    program = "import sys; print('x' * 100_000 + ' the last'); sys.exit(1)"
    with pytest.raises(TaskFailed) as failure:
        await execute(command=python(program))
    assert failure.value.details["stdout"].endswith("x the last")
    assert len(failure.value.details["stdout"]) == 4000
