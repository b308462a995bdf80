"""An executor that asks a person."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from apflow_approval.moments import later, rule_against
from apflow_hookspecs import Json, TaskContext, TaskFailed, Wait, executor

CHOICES = ("approve", "reject")
"""What may be answered where the author does not say."""

YES = frozenset({"approve", "approved", "accept", "accepted", "yes"})
NO = frozenset({"reject", "rejected", "decline", "declined", "deny", "denied", "no"})


@executor("approval_executor", summary="Ask a person, and go on with the answer")
async def approval(
    context: TaskContext,
    *,
    prompt: str,
    choices: list[str] | None = None,
    schema: dict[str, Any] | None = None,
    deadline: float | str | None = None,
    details: Json = None,
    on_reject: Literal["fail", "complete"] = "fail",
) -> dict[str, Json] | Wait:
    """Wait until somebody has answered.

    Args:
        context: Of the attempt.
        prompt: What is asked.
        choices: The texts that are an answer.
        schema: JSON Schema of the answer, in place of choices.
        deadline: Seconds from the first call on, or RFC 3339 with a zone; then the task fails with `timeout`.
        details: What is shown below the prompt.
        on_reject: What becomes of the task when the answer rejects: it fails with `denied`, or completes.

    Returns:
        `{"answer", "approved"}`; `approved` is null where the choices or the schema do not make it clear.
    """
    options = choices if choices is not None or schema is not None else CHOICES
    if context.wait is None:
        for name, rule in approval_problems({"choices": choices, "schema": schema, "deadline": deadline}):
            raise TaskFailed(f"input {name!r} {rule}", error="bad_input")
        until = None if deadline is None else later(deadline)
        return Wait.for_input(_shown(prompt, details), schema if options is None else {"enum": list(options)}, until)
    approved = verdict(context.answer, options)
    if approved is False and on_reject == "fail":
        raise TaskFailed("rejected", error="denied", details={"answer": context.answer})
    return {"answer": context.answer, "approved": approved}


def verdict(answer: Json, choices: Sequence[str] | None) -> bool | None:
    """Whether an answer approves, where that is clear.

    Of texts it is where one choice is a word of approval and another one of rejection: "no" among names of countries rejects
    nothing. Else it is `true` or `false`, alone or as `approved` in an object.
    """
    if choices is not None:
        words = {choice.casefold() for choice in choices}
        word = str(answer).casefold()
        return word in YES if words & YES and words & NO and word in YES | NO else None
    said = answer.get("approved") if isinstance(answer, dict) else answer
    return said if isinstance(said, bool) else None


def approval_problems(inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with the inputs, by name, as far as they are known."""
    choices = inputs.get("choices")
    if choices is not None and inputs.get("schema") is not None:
        yield "schema", "cannot stand beside input 'choices'"
    if isinstance(choices, list):
        texts = [choice for choice in choices if isinstance(choice, str)]
        if not choices or not all(text.strip() for text in texts) or len(set(texts)) < len(texts):
            yield "choices", "must be a list of different texts, one at least, none of them empty"
    rule = rule_against(inputs.get("deadline"))
    if rule is not None:
        yield "deadline", rule


def _shown(prompt: str, details: Json) -> str:
    return prompt if details is None else f"{prompt}\n{json.dumps(details, ensure_ascii=False, indent=2)}"
