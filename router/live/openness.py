"""Whether others than this machine reach a router, and whether it may start like that."""

import re
from typing import Final

from router.live.address import split_address
from router.live.settings import RouterSettings

_LOOPBACK: Final = re.compile(r"127\.[0-9.]+|::1|localhost")


class AuthenticationError(ValueError):
    """Settings by which a router would let in everybody, or nobody; the message is one line."""


def why_not_open(settings: RouterSettings) -> str:
    """Why a router with these settings does not start; empty where it does."""
    said = settings.authentication
    proves = said.keys_file is not None
    if proves and said.anonymous:
        return (
            "authentication.anonymous lets in whoever comes, and authentication.keys_file says"
            " who may; leave one of them out"
        )
    far = _open_to_others(settings)
    if not far or proves or said.anonymous:
        return ""
    return (
        f"others reach {' and '.join(far)}, and nothing says who may come in: name a keys_file"
        " under router.authentication (spillway keys new TENANT makes a key), or say anonymous:"
        " true there"
    )


def _open_to_others(settings: RouterSettings) -> tuple[str, ...]:
    """The addresses on which others than this machine reach a router's faces."""
    listens = (settings.listen, settings.openai_listen)
    return tuple(one for one in listens if one is not None and not _is_loopback(one))


def _is_loopback(address: str) -> bool:
    return _LOOPBACK.fullmatch(split_address(address)[0]) is not None
