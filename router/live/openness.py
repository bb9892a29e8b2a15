"""Whether others than this machine reach a router, and whether it may start like that."""

from router.live.address import split_address
from router.live.settings import RouterSettings
from wire.tls.plaintext import is_loopback


class AuthenticationError(ValueError):
    """Settings by which a router would let in everybody, or nobody; the message is one line."""


def why_not_open(settings: RouterSettings) -> str:
    """Why a router with these settings does not start; empty where it does."""
    said = settings.authentication
    proves = said.keys_file is not None or said.tokens.issuer is not None
    if proves and said.anonymous:
        return (
            "authentication.anonymous lets in whoever comes, and keys_file or tokens say who may;"
            " leave one of them out"
        )
    far = _open_to_others(settings)
    if not far or proves or said.anonymous or settings.tls.accept:
        return ""
    return (
        f"others reach {' and '.join(far)}, and nothing says who may come in: name a keys_file"
        " under router.authentication (spillway keys new TENANT makes a key), or the tokens of an"
        " identity provider, or say anonymous: true there"
    )


def _open_to_others(settings: RouterSettings) -> tuple[str, ...]:
    """The addresses on which others than this machine reach a router's faces."""
    listens = (settings.listen, settings.openai_listen)
    return tuple(
        one for one in listens if one is not None and not is_loopback(split_address(one)[0])
    )
