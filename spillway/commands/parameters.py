"""Arguments and options that several commands have."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from spillway.client import Options

ADDRESS = "127.0.0.1:7070"  # this and DEADLINE_S are the client's, which is not imported for them
DEADLINE_S = 600.0
PORT_MAX = 65_535


def as_text(value: str) -> str:
    """An argument as it is; refused where its bytes are not UTF-8, which no message can carry."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter("it is not UTF-8") from None
    return value


def as_address(value: str | None) -> str | None:
    """host:port, as it is; refused where it is something else, such as a URL."""
    if value is not None:
        host, _, port = as_text(value).rpartition(":")
        good = host and "/" not in host and port.isdecimal() and int(port) <= PORT_MAX
        if not good:
            raise typer.BadParameter(f"{value!r} is not host:port")
    return value


def as_local_address(value: str | None) -> str | None:
    """host:port of this machine alone: a local fleet asks nobody who they are."""
    from wire.tls.plaintext import is_loopback

    if as_address(value) is not None and value and not is_loopback(value.rpartition(":")[0]):
        raise typer.BadParameter(
            f"{value!r} is open to other machines, and a local fleet is for this one; write a fleet"
            " file, with TLS and keys"
        )
    return value


Address = Annotated[
    str,
    typer.Option(
        "--address",
        "-a",
        envvar="SPILLWAY_ADDRESS",
        help="Where the router listens (host:port).",
        callback=as_address,
    ),
]
FleetPath = Annotated[Path, typer.Argument(help="The fleet file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Model = Annotated[
    str, typer.Option("--model", "-m", help="The model to ask; by default the only one there is.")
]
Adapter = Annotated[str, typer.Option("--adapter", help="The LoRA adapter of the model to use.")]
Slo = Annotated[str, typer.Option("--slo", help="The service class to ask for.")]
Session = Annotated[
    str, typer.Option("--session", "-s", help="The session that the request belongs to.")
]
MaxNewTokens = Annotated[
    int, typer.Option("--max-new-tokens", "-n", min=1, help="Tokens to generate at most.")
]
Temperature = Annotated[
    float | None,
    typer.Option("--temperature", "-t", min=0.0, help="0 is greedy; by default the model's own."),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Makes sampling repeatable.")]
DeadlineS = Annotated[
    float, typer.Option("--deadline", min=0.001, help="Seconds that an answer may take.")
]
Direct = Annotated[
    bool,
    typer.Option("--direct", help="Stream from the endpoint itself, where the router allows it."),
]
Template = Annotated[
    Path | None,
    typer.Option(
        "--chat-template",
        envvar="SPILLWAY_CHAT_TEMPLATE",
        help="A model's folder, its tokenizer_config.json or a Jinja file; by default the model's"
        " own, as its server gives it.",
    ),
]


def options_of(
    model: str,
    session: str,
    slo: str,
    max_new_tokens: int,
    temperature: float | None = None,
    seed: int | None = None,
    adapter: str = "",
) -> "Options":
    """The client's options for what the command line gave."""
    options: Options = {"max_new_tokens": max_new_tokens}
    if model:
        options["model"] = model
    if adapter:
        options["lora_name"] = adapter
    if session:
        options["session"] = session
    if slo:
        options["slo"] = slo
    if temperature is not None:
        options["temperature"] = temperature
    if seed is not None:
        options["seed"] = seed
    return options
