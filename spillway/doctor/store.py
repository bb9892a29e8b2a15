"""The store that routers share."""

import time
from collections.abc import Iterator

from spillway.doctor.finding import Finding, ok, problem
from spillway.fleet import FleetFile

ASK_S = 3.0


def store(file: FleetFile) -> Iterator[Finding]:
    """Whether it answers, and how soon."""
    settings = file.router.store
    if settings.url is None:
        yield ok("store", "no store is named: this router shares nothing with others")
        return
    from redis import Redis  # noqa: PLC0415 - 15 MB, for those who have a store
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.exceptions import RedisError  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    shown = settings.url.rpartition("@")[2]  # without a password that stands in it
    try:
        password = settings.password_file.read_text().strip() if settings.password_file else None
        with Redis.from_url(
            settings.url,
            password=password,
            socket_timeout=ASK_S,
            socket_connect_timeout=ASK_S,
            retry=Retry(NoBackoff(), 0),
        ) as client:
            begun_s = time.monotonic()
            client.ping()
            took_s = time.monotonic() - begun_s
    except (RedisError, OSError, ValueError) as error:
        said = f"{shown} cannot be asked: {error}"
        do = "until it is back, routers spend what they hold; look at its server and password_file"
        yield problem("store", said, do)
        return
    yield ok("store", f"{shown} answers in {took_s * 1000:.1f} ms")
