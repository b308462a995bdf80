"""`rest_executor`: one HTTP request a task, through the guard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from attrs import evolve

from apflow_hookspecs import Json, Problem, Task, TaskContext, TaskFailed
from apflow_hookspecs.errors import PermissionDenied
from apflow_http.checks import LATER, METHODS, Hidden, Limits, known, problems, secrets, unknown_inputs
from apflow_http.options import Options
from apflow_http.wanted import wanted

if TYPE_CHECKING:
    import httpx

    from apflow_guard import Guard

_TEXT = {"type": "string"}
_SECRET = {"writeOnly": True}
"""Of an input that may hold a secret."""


class RestExecutor:
    """Makes HTTP requests.

    Options and guard are the operator's; the plugin sets them when the engine starts. By hand, in a test or a script:

        executor = RestExecutor(guard=Guard(GuardOptions(allow=["127.0.0.1:8000"])))
        await executor.execute({"url": "http://127.0.0.1:8000/"})
        await executor.aclose()

    Args:
        options: Where bodies are saved.
        guard: What can be reached; None is what is public.
    """

    id = "rest_executor"
    summary = "Make an HTTP request"
    on_crash = "rerun"
    input_schema = {
        "type": "object",
        "required": ["url"],
        "properties": {
            "url": {**_TEXT, **_SECRET, "description": "Where the request goes: http or https"},
            "method": {"type": ["string", "null"], "default": "GET", "description": f"One of {', '.join(METHODS)}"},
            "headers": {"type": ["object", "null"], **_SECRET, "description": "Texts and numbers by name"},
            "params": {"type": ["object", "null"], **_SECRET, "description": "Added to the query; a list repeats its name"},
            "json": {**_SECRET, "description": "The body, as JSON"},
            "data": {
                "type": ["object", "string", "null"],
                **_SECRET,
                "description": "The body: an object as a form, a text as it is",
            },
            "auth": {
                "type": ["object", "null"],
                **_SECRET,
                "description": "Of type bearer (token), basic (username, password) or apikey (key, value, location)",
            },
            "timeout": {
                "type": ["number", "null"],
                "exclusiveMinimum": 0,
                "description": "Seconds for all of it; 30 by default",
            },
            "verify": {"type": ["boolean", "null"], "description": "True: certificates are checked"},
            "redirects": {"type": ["integer", "null"], "minimum": 0, "default": 0, "description": "How many are followed"},
            "expect": {
                "type": ["array", "null"],
                "items": {"type": ["integer", "string"]},
                "minItems": 1,
                "default": ["2xx"],
                "description": 'Statuses with which the task completes: numbers, and classes such as "2xx"',
            },
            "save_to": {"type": ["string", "null"], "description": "File under the operator's folder that gets the body"},
            "idempotency_key": {
                "type": ["boolean", "null"],
                "default": False,
                "description": "Whether an Idempotency-Key is sent, the same for all attempts",
            },
        },
    }
    output_schema = {
        "type": "object",
        "required": ["success", "status_code", "url", "method", "headers"],
        "properties": {
            "success": {"type": "boolean", "description": "Whether the status is one of 2xx"},
            "status_code": {"type": "integer"},
            "url": {**_TEXT, "description": "Where the answer came from, after redirects"},
            "method": _TEXT,
            "headers": {
                "type": "object",
                "additionalProperties": _TEXT,
                "description": "By name in lower case, without cookies",
            },
            "json": {"description": "The body, where its type is JSON"},
            "text": {**_TEXT, "description": "The body, where it is another text"},
            "base64": {**_TEXT, "description": "The body, where it is no text"},
            "path": {**_TEXT, "description": "Of the file, relative to the operator's folder"},
            "size": {"type": "integer", "description": "Of the file, in bytes"},
            "sha256": {**_TEXT, "description": "Of the file, in hexadecimal digits"},
        },
    }

    def __init__(self, options: Options | None = None, guard: Guard | None = None) -> None:
        self.options = options or Options()
        self.guard = guard
        self._client: httpx.AsyncClient | None = None

    def problems(self, task: Task) -> Iterator[Problem]:
        """What is wrong with a task, as far as its author's inputs tell."""
        inputs = known(task.inputs)
        arriving = {dependency.key: LATER for dependency in task.dependencies}
        found = [*unknown_inputs(inputs), *secrets(task.inputs), *problems({**arriving, **inputs}, self._limits())]
        url = inputs.get("url")
        if isinstance(url, str) and not any(problem.field == "inputs.url" for problem in found):
            found += self._denials(url)
        return (evolve(problem, task=task.key) for problem in found)

    def _denials(self, url: str) -> Iterator[Problem]:
        try:
            self._guarded().check_url(url)
        except TaskFailed as refused:
            yield Problem(refused.message, field="inputs.url", value=Hidden(), code=PermissionDenied.code)

    async def execute(self, inputs: dict[str, Any], context: TaskContext | None = None) -> Json:
        """Make the request that the inputs describe.

        Raises:
            TaskFailed: `bad_input`, `denied`, `timeout`, or `failed`; the status, headers and beginning of an answer that was
                not expected are in `details`, and its `Retry-After` in `retry_after`.
        """
        results = {} if context is None else context.results
        key = "" if context is None else context.idempotency_key
        limits = self._limits()
        found = [*unknown_inputs(inputs.keys() - results.keys()), *problems(inputs, limits)]
        if inputs.get("idempotency_key") and not key:
            found.append(Problem("there is none without an engine", field="inputs.idempotency_key", value=True))
        if found:
            raise TaskFailed("; ".join(map(str, found)), error="bad_input")
        from apflow_http.exchange import exchange  # noqa: PLC0415 - a plugin is imported at every start

        if self._client is None:
            self._client = self._guarded().client(headers={"User-Agent": "apflow"})
        return await exchange(self._guarded(), self._client, wanted(inputs, limits, key), self.options)

    async def aclose(self) -> None:
        """Close the connections; the next request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _limits(self) -> Limits:
        options = self._guarded().options
        return Limits(options.timeout, options.max_redirects, saves=self.options.root is not None)

    def _guarded(self) -> Guard:
        if self.guard is None:
            from apflow_guard import Guard, GuardOptions  # noqa: PLC0415 - likewise

            self.guard = Guard(GuardOptions())
        return self.guard
