"""What every codec looks at before it believes an answer. Pure.

A codec reads fields as if they were what the reference says, and catches what that raises (`UNREADABLE`) at
its own door: `decode`, `feed`, `finish`. What reads well and still can't go on as an event, a field of a
wrong type or JSON so deep that no writer takes it, is found here.
"""

from types import NoneType

from schemas.calls import Answer, Malformed

UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What reading a field of a wrong type raises."""
MAX_DEPTH = 200
"""Deepest nesting of a JSON value; an event with it inside must stay under 255, where writers give up."""


def unreadable(error: Exception, body: bytes, status: int = 200) -> Malformed:
    """The error of an answer with a field of a wrong type; keeps the bytes."""
    reason = f"the answer has a field of a wrong type: {type(error).__name__}"
    return Malformed(reason, status=status, body=body)


def checked(answer: Answer, body: bytes) -> Answer:
    """The answer, where its parts are what they should be: a response is made from it without a look.

    Raises:
        Malformed: When a part has a wrong type.
    """
    parts: list[tuple[object, tuple[type, ...]]] = [
        (answer.text, (str,)),
        (answer.model, (str, NoneType)),
        (answer.usage_raw, (dict, NoneType)),
        (answer.provider_content, (dict, NoneType)),
        (answer.logprobs, (dict, NoneType)),
        (answer.reasoning, (str,)),
        (answer.finish_reason_raw, (str, NoneType)),
        *((call, (dict,)) for call in answer.tool_calls),
    ]
    for part, kind in parts:
        if not isinstance(part, kind):
            raise Malformed("the answer has a field of a wrong type", status=answer.status, body=body)
    return answer
