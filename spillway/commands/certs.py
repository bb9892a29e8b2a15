"""`spillway certs`: a development authority, and certificates of routers, sites and clients."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spillway.commands.failure import Failure
from spillway.commands.parameters import Json, as_text
from spillway.commands.terminal import say, write, write_json, write_table

if TYPE_CHECKING:
    from spillway.certs.showing import Shown

COLUMNS = ("file", "names", "issuer", "from", "until", "days left", "authority")

DAYS_MAX = 36_500

app = typer.Typer(help="Make certificates for development, and show any.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="Where the authority is.", show_default=False)]
Names = Annotated[
    list[str],
    typer.Argument(
        help="Identities: DNS names, SPIFFE ids, and addresses that clients connect to.",
        show_default=False,
    ),
]
Files = Annotated[list[Path], typer.Argument(help="Files in PEM.", show_default=False)]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="The files to write, without .pem and .key; by the first name."),
]


@app.command()
def init(
    folder: Folder,
    *,
    name: Annotated[
        str, typer.Option("--name", help="What it is called.", callback=as_text)
    ] = "Spillway development",
    days: Annotated[int, typer.Option("--days", min=1, max=DAYS_MAX)] = 365,
) -> None:
    """Make an authority in a folder; its key signs certificates, and stays there."""
    _needs_cryptography()
    from spillway.certs.authority import CERTIFICATE, NAME_LENGTH_MAX, Authority

    if not 0 < len(name) <= NAME_LENGTH_MAX:
        raise typer.BadParameter(f"--name: expected 1 to {NAME_LENGTH_MAX} characters")
    Authority.create(folder, name, days, datetime.now(UTC))
    write(str(folder / CERTIFICATE))
    say(f"Certificates come with: spillway certs issue {folder} NAME")


@app.command()
def issue(
    folder: Folder,
    names: Names,
    *,
    days: Annotated[int, typer.Option("--days", min=1, max=DAYS_MAX)] = 30,
    out: Out = None,
) -> None:
    """Make a certificate for a router, a site or a client, with all of these names."""
    _needs_cryptography()
    from spillway.certs.authority import Authority
    from spillway.certs.issuing import file_stem, issue

    stem = folder / file_stem(names[0]) if out is None else out
    for path in issue(Authority.load(folder), names, stem, days, datetime.now(UTC)):
        write(str(path))


@app.command()
def show(files: Files, *, json: Json = False) -> None:
    """Show whose certificates are in files, and until when they are good."""
    _needs_cryptography()
    from spillway.certs.showing import certificates

    now = datetime.now(UTC)
    found = [(path, one) for path in files for one in certificates(path)]
    if json:
        write_json([_as_json(path, one, now) for path, one in found])
    else:
        write_table(COLUMNS, [_row(path, one, now) for path, one in found])


def _row(path: Path, one: "Shown", now: datetime) -> tuple[str, ...]:
    left = one.days_left(now)
    return (
        path.name,
        ", ".join(one.names) or one.subject,
        one.issuer,
        f"{one.not_before:%Y-%m-%d %H:%M}",
        f"{one.not_after:%Y-%m-%d %H:%M}",
        f"{left:.1f}" if left > 0 else "expired",
        "yes" if one.is_authority else "no",
    )


def _as_json(path: Path, one: "Shown", now: datetime) -> dict[str, Any]:
    return {
        "file": str(path),
        "names": list(one.names),
        "subject": one.subject,
        "issuer": one.issuer,
        "not_before": one.not_before.isoformat(),
        "not_after": one.not_after.isoformat(),
        "days_left": round(one.days_left(now), 3),
        "authority": one.is_authority,
    }


def _needs_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ModuleNotFoundError:
        raise Failure("it needs a further package: pip install 'spillway[certs]'") from None
