"""The prompt of a command: an argument, or standard input."""

import sys
from typing import Annotated

import typer

from spillway.commands.failure import Failure, Outcome
from spillway.commands.parameters import as_text

PROMPT_BYTES_MAX = 64 * 1024 * 1024  # more than any server takes

Prompt = Annotated[
    str,
    typer.Argument(
        help="The prompt; - reads it from standard input.", show_default=False, callback=as_text
    ),
]


def read_prompt(argument: str) -> str:
    """The prompt that a command was given; of standard input no more than is of use.

    Raises Failure for what is too long or is no text.
    """
    if argument != "-":
        return argument
    content = sys.stdin.buffer.read(PROMPT_BYTES_MAX + 1)
    if len(content) > PROMPT_BYTES_MAX:
        raise Failure(
            f"the prompt has more than {PROMPT_BYTES_MAX // 1024**2} MiB", Outcome.REFUSED
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Failure("the prompt on standard input is not UTF-8", Outcome.REFUSED) from error
