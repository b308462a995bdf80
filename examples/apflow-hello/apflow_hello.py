"""The smallest useful plugin for apflow: one executor and one validator."""

from apflow_hookspecs import Problem, executor, hookimpl


@executor("hello_executor", summary="Greet somebody")
async def hello(name: str, punctuation: str = "!") -> dict:
    return {"text": f"Hello {name}{punctuation}"}


@hookimpl
def apflow_executors():
    yield hello


@hookimpl
def apflow_validate_task(task):
    if task.executor == "hello_executor" and task.inputs.get("name") == "":
        yield Problem("somebody has to be greeted", task=task.key, field="inputs.name", value="")
