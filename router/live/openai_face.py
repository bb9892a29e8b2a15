"""Opens OpenAI's API on a router that is asked for it."""

from collections.abc import Callable
from contextlib import AsyncExitStack

from router.live.callers import Callers
from router.live.inference import Inference
from router.live.roster import Roster
from router.live.settings import RouterSettings
from router.live.tls import ServerTls


async def open_openai(
    inference: Inference,
    callers: Callers,
    roster: Roster,
    settings: RouterSettings,
    tls: ServerTls | None,
    opened: AsyncExitStack,
    *,
    serves: Callable[[], bool],
    grace_s: Callable[[], float],
    shares_port: bool,
) -> int:
    """The port it listens at, until `opened` is closed: then calls have `grace_s` to end.

    Raises OSError where the port is taken.
    """
    # Not at the top: a router without it needs neither tokenizers nor templates.
    from router.faces.openai.server import OpenAiServer  # noqa: PLC0415
    from router.live.model_texts import ModelTexts  # noqa: PLC0415

    texts = ModelTexts(roster)
    face = OpenAiServer(inference, callers, roster, texts, serves, settings, tls)
    opened.push_async_callback(texts.close)
    opened.push_async_callback(lambda: face.stop(grace_s()))
    return await face.start(settings.openai_listen or "", shares_port=shares_port)
