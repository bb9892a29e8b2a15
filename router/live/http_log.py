"""The log of an HTTP server: what went wrong here, and not what a client got wrong."""

import logging

from aiohttp.http_exceptions import HttpProcessingError


def http_log(name: str) -> logging.Logger:
    """The logger of this name. A client has heard itself of what it got wrong."""
    log = logging.getLogger(name)
    log.addFilter(_is_ours)
    return log


def _is_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
