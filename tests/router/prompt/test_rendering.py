"""Chat templates in processes that end when a template takes too much."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import pytest

from router.prompt import rendering
from router.prompt.chat_template import ChatTemplate, ChatTemplateError
from router.prompt.rendering import Renderer
from tests.waiting import until
from wire.status import CallError

pytestmark = pytest.mark.outside  # templates are rendered in processes

HELLO = [{"role": "user", "content": "h\u00e9\ud800"}]
PLAIN = ChatTemplate(
    "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}{{ x }}", "^"
)
LAUGHS = "{% set ns = namespace(a=[1], b=[1]) %}{% for _ in range(60) %}"
FOR_EVER = {
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "one comparison": LAUGHS
    + "{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}",
    "calls": "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
}
TOO_MUCH = {
    "one format": "{{ '%9999999999d' % 1 }}",
    "doubling": "{% set ns = namespace(a='x') %}{% for _ in range(60) %}"
    "{% set ns.a = ns.a ~ ns.a %}{% endfor %}{{ ns.a }}",
    "a list of lists": LAUGHS + "{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a }}",
    "output": "{% set a = 'x' * 999999 %}{% for _ in range(9999) %}{{ a }}{% endfor %}",
    "center": "{{ 'x'.center(9999999999) }}",
    "filter": "{{ 'x' | center(9999999999) }}",
}


@contextlib.asynccontextmanager
async def renderer(**more):
    made = Renderer(**{"cpu_s": 0.2} | more)
    try:
        yield made
    finally:
        await made.close()


async def test_a_prompt_is_what_the_template_makes():
    """Of any text, lone surrogates included, one after the other by one process."""
    async with renderer() as made:
        for x in range(5):
            assert await made.render("", PLAIN, HELLO, {"x": x}) == f"^h\u00e9\ud800{x}"
        assert len(made._idle) == 1
        template = ChatTemplate("{{ raise_exception('no such role') }}")
        with pytest.raises(ChatTemplateError, match="refuses the messages: no such role"):
            await made.render("", template, HELLO, {})


@pytest.mark.parametrize("kind", FOR_EVER)
async def test_a_template_that_never_ends_is_ended(kind):
    """By the kernel, whatever it does; the event loop and others' prompts go on meanwhile."""
    async with renderer() as made:
        hostile = asyncio.create_task(made.render("", ChatTemplate(FOR_EVER[kind]), HELLO, {}))
        await until(lambda: made._waiting == 1)
        assert await made.render("", PLAIN, HELLO, {}) == "^h\u00e9\ud800"
        with contextlib.suppress(ChatTemplateError):  # deep calls are refused by Python itself
            await hostile
        assert await made.render("", PLAIN, HELLO, {}) == "^h\u00e9\ud800"
    assert hostile.exception() is not None


@pytest.mark.parametrize("kind", TOO_MUCH)
async def test_a_template_that_makes_too_much_is_refused(kind):
    """Its process has so much memory, and a prompt so many characters."""
    async with renderer() as made:
        with pytest.raises(ChatTemplateError):
            await made.render("", ChatTemplate(TOO_MUCH[kind]), HELLO, {})
        assert await made.render("", PLAIN, HELLO, {}) == "^h\u00e9\ud800"


async def test_who_takes_too_much_keeps_nobody_else_waiting():
    """Those of one template and tenant have one process among them, and others the rest."""
    async with renderer() as made:
        hostile = ChatTemplate(FOR_EVER["one comparison"])
        with pytest.raises(ChatTemplateError, match="takes more than"):
            await made.render("mallory", hostile, HELLO, {})
        flood = [asyncio.create_task(made.render("mallory", hostile, HELLO, {})) for _ in range(9)]
        await until(lambda: made._waiting == 9)
        for _ in range(20):
            assert await made.render("acme", PLAIN, HELLO, {}) == "^h\u00e9\ud800"
        assert not any(one.done() and not one.exception() for one in flood)
        for one in flood:
            one.cancel()
        await asyncio.gather(*flood, return_exceptions=True)


async def test_who_goes_while_they_wait_leaves_nothing_of_their_chat():
    """Else who sends long chats and goes would fill the memory; what has begun is made."""
    async with renderer(cpu_s=30.0) as made:
        slow = ChatTemplate(FOR_EVER["one comparison"])
        running = [asyncio.create_task(made.render("", slow, HELLO, {})) for _ in range(2)]
        await until(lambda: len(made._running) == 2)
        waiting = [asyncio.create_task(made.render("", PLAIN, HELLO, {})) for _ in range(9)]
        await until(lambda: made._waiting == 11)
        for one in (*running, *waiting):
            one.cancel()
        await asyncio.gather(*running, *waiting, return_exceptions=True)
        await until(lambda: made._waiting == 2)
        assert len(made._tasks) == len(made._running) == 2


async def test_so_many_wait_and_no_more(monkeypatch):
    monkeypatch.setattr(rendering, "WAITING_MAX", 0)
    async with renderer() as made:
        with pytest.raises(CallError, match="chats wait for their prompts"):
            await made.render("", PLAIN, HELLO, {})


async def test_so_much_waits_and_no_more(monkeypatch):
    """By their size, too: a thousand of the longest chats would be all of a machine's memory."""
    monkeypatch.setattr(rendering, "WAITING_BYTES_MAX", 1_000)
    async with renderer(cpu_s=30.0) as made:
        long = [{"role": "user", "content": "x" * 2_000}]
        assert await made.render("", PLAIN, long, {}) == "^" + "x" * 2_000  # alone it is taken
        slow = asyncio.create_task(
            made.render("", ChatTemplate(FOR_EVER["one comparison"]), HELLO, {})
        )
        await until(lambda: made._waiting == 1)
        with pytest.raises(CallError, match="too large"):
            await made.render("", PLAIN, long, {})
        assert await made.render("", PLAIN, HELLO, {}) == "^h\u00e9\ud800"
        slow.cancel()
    assert (made._waiting, made._bytes) == (0, 0)


async def test_a_process_may_be_kept_from_giving_way():
    """As by the filter of system calls that the systemd unit of a router has."""
    forbidden = (
        "import os\n"
        "def nice(_): raise PermissionError(1, 'Operation not permitted')\n"
        "os.nice = nice\n"
        "from router.prompt.worker import main\n"
        "main()"
    )
    async with renderer(command=(sys.executable, "-P", "-s", "-c", forbidden)) as made:
        assert await made.render("", PLAIN, HELLO, {}) == "^h\u00e9\ud800"


async def test_the_kernel_ends_it_before_the_router_where_memory_ends():
    async with renderer() as made:
        await made.render("", PLAIN, HELLO, {})
        (process,) = made._idle
        score = Path(f"/proc/{process.pid}/oom_score_adj")
        assert await asyncio.to_thread(score.read_text) == "1000\n"


async def test_a_process_that_somebody_ended_is_followed_by_another():
    """As one whose memory the machine wanted back: no chat is refused for it, and none blamed."""
    async with renderer() as made:
        await made.render("", PLAIN, HELLO, {})
        (process,) = made._idle
        process.kill()
        await process.wait()
        assert await made.render("", PLAIN, HELLO, {}) == "^h\u00e9\ud800"
        assert not made._struck


async def test_a_process_that_ends_by_itself_is_followed_by_another():
    """As one does that has grown large: nobody is blamed for it."""
    async with renderer() as made:
        await asyncio.gather(*(made.render("", PLAIN, HELLO, {}) for _ in range(4)))
        for process in made._idle:
            process.stdin.close()
            await process.wait()
        assert await made.render("", PLAIN, HELLO, {}) == "^h\u00e9\ud800"
        assert not made._struck


async def test_no_secret_of_the_router_is_in_its_processes(monkeypatch):
    """They run what others wrote."""
    monkeypatch.setenv("SPILLWAY_LEASE_KEYS", "s" * 40)
    async with renderer() as made:
        await made.render("", PLAIN, HELLO, {})
        (process,) = made._idle
        environment = Path(f"/proc/{process.pid}/environ")
        assert b"s" * 40 not in await asyncio.to_thread(environment.read_bytes)
        pid = process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_what_cannot_run_is_a_refusal():
    """And no error of Python's."""
    async with renderer(command=("false",)) as made:
        with pytest.raises(ChatTemplateError):
            await made.render("", PLAIN, HELLO, {})
