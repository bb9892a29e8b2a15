"""What runs in a process of `router.prompt.rendering`: prompts, one after the other, until the end.

The kernel ends it where one takes too much CPU (SIGPROF, which nobody handles here), and gives it
no more memory than it may have; it writes no file, and opens none but those of Python's own.
"""

import contextlib
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from router.prompt.chat_template import ChatTemplate, ChatTemplateError
from router.prompt.limits import KEPT_BYTES_MAX, LENGTH_BYTES, MEMORY_BYTES, REPLY_BYTES_MAX

_REFUSAL_CHARS_MAX = 1_000


def main() -> None:
    """Reads from standard input and answers on standard output. Takes the CPU of one prompt."""
    cpu_s = float(sys.argv[1])
    _after_the_router()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked, told = sys.stdin.buffer, sys.stdout.buffer
    ChatTemplate("").render([])  # what is imported for that is on no prompt's account
    while body := _read(asked):
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        reply = _answered(body)
        told.write(len(reply).to_bytes(LENGTH_BYTES, "big") + reply)
        told.flush()
        signal.setitimer(signal.ITIMER_PROF, 0)
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > KEPT_BYTES_MAX:
            return


def _after_the_router() -> None:
    """Streams go first, and stay where memory ends: as far as this process may say so.

    It may not where the system calls for that are kept from services, as from those of our units.
    """
    with contextlib.suppress(OSError):
        os.nice(5)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _read(asked: BinaryIO) -> bytes:
    """The next request; empty at the end."""
    length = int.from_bytes(asked.read(LENGTH_BYTES), "big")
    body = asked.read(length)
    return body if len(body) == length else b""


def _answered(body: bytes) -> bytes:
    try:
        reply = json.dumps({"text": _rendered(body)}).encode()
    except ChatTemplateError as error:
        return json.dumps({"refusal": str(error)[:_REFUSAL_CHARS_MAX]}).encode()
    except (MemoryError, RecursionError):
        reply = b""
    if not reply or len(reply) > REPLY_BYTES_MAX:
        return json.dumps({"refusal": "the chat template makes too much of the messages"}).encode()
    return reply


def _rendered(body: bytes) -> str:
    asked = json.loads(body)
    template = ChatTemplate(*asked["template"])
    return template.render(asked["messages"], **asked["variables"])


if __name__ == "__main__":
    main()
