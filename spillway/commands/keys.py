"""`spillway keys`: API keys of tenants and operators."""

import secrets
import time
from typing import Annotated

import typer

from spillway.commands.parameters import Json
from spillway.commands.terminal import say, write, write_json

app = typer.Typer(help="Make API keys.", no_args_is_help=True)

_DAY_S = 86_400

Tenant = Annotated[str, typer.Argument(help="A tenant of the fleet file.", show_default=False)]
Operator = Annotated[
    bool, typer.Option("--operator", help="The key of somebody who sees all, and acts.")
]
Reader = Annotated[
    bool, typer.Option("--reader", help="The key of somebody who sees all, and changes nothing.")
]
Days = Annotated[
    float | None,
    typer.Option("--days", min=0.001, max=36_500, help="For how long it is good; else, for ever."),
]


@app.callback()
def _keys() -> None:
    """Makes `new` a subcommand, though it is the only one."""


@app.command()
def new(
    tenant: Tenant,
    *,
    operator: Operator = False,
    reader: Reader = False,
    days: Days = None,
    json: Json = False,
) -> None:
    """Make a key: it is shown this once, with the line for the file of keys."""
    from router.live.key_file import line_of
    from router.policy.api_key import (
        ID_BYTES,
        SECRET_BYTES,
        ApiKey,
        digest_of,
        id_of,
        key_text,
    )
    from spillway.fleet.kinds import is_name

    if not is_name(tenant):
        raise typer.BadParameter(f"{tenant!r} is no name that a tenant could have")
    text = key_text(secrets.token_bytes(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES))
    until = None if days is None else time.time() + days * _DAY_S
    if operator and reader:
        raise typer.BadParameter("who acts has one key, and who only looks another")
    made = ApiKey(
        *(id_of(text), digest_of(text), tenant, operator), reader=reader, not_after_unix_s=until
    )
    line = line_of(made)
    if json:
        write_json({"key": text, "line": line})
        return
    say("The key, which is shown this once and is for its holder alone:")
    write(text)
    say("Its line in the fleet's router.authentication.keys_file, in which nothing is secret:")
    write(line)
