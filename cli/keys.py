"""`whichone keys`: who may ask the server."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import STYLE, AsJson, Data, examples, settings_of

__all__ = ["app"]

app = typer.Typer(help="API keys of the server.", **STYLE)

Name = Annotated[str, typer.Argument(help="The key's name.")]


@app.command(
    "create",
    epilog=examples(
        "whichone keys create phone-app",
        "whichone keys create shop-import --scope index --gallery shop --expires 90d --rate 600/min",
        "whichone keys create ops --scope admin",
    ),
)
def keys_create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            "-s",
            help="recognize (if not given: recognise and read), index (also change what a gallery holds) or admin "
            "(everything); repeatable.",
        ),
    ] = None,
    gallery: Annotated[
        list[str] | None,
        typer.Option("--gallery", "-g", metavar="NAME", help="Only for this gallery; repeatable. [dim]Else all.[/dim]"),
    ] = None,
    expires: Annotated[str | None, typer.Option(metavar="END", help="How long it is good: 90d, or 2027-01-31.")] = None,
    rate: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Requests it may make: 600/min. [dim]Else WHICHONE_RATE_LIMIT.[/dim]"),
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key. It is shown once."""
    from service.commands.keys import create_key

    create_key(
        settings_of(data),
        name,
        scope or ["recognize"],
        galleries=gallery or None,
        expires=expires,
        rate=rate,
        as_json=as_json,
    )


@app.command("rotate", epilog=examples("whichone keys rotate phone-app", "whichone keys rotate phone-app --grace 0"))
def keys_rotate(
    name: Name,
    grace: Annotated[str, typer.Option(metavar="TIME", help="How long the old secret stays good: 24h, 0.")] = "24h",
    expires: Annotated[str | None, typer.Option(metavar="END", help="A new end of the key: 90d, 2027-01-31.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret, shown once; scopes, galleries and rate stay."""
    from service.commands.keys import rotate_key

    rotate_key(settings_of(data), name, grace=grace, expires=expires, as_json=as_json)


@app.command("list", epilog=examples("whichone keys list"))
def keys_list(data: Data = None, as_json: AsJson = False) -> None:
    """List the keys by name: scopes, galleries, last use, end."""
    from service.commands.keys import list_keys

    list_keys(settings_of(data), as_json=as_json)


@app.command("revoke", epilog=examples("whichone keys revoke phone-app"))
def keys_revoke(name: Name, data: Data = None, as_json: AsJson = False) -> None:
    """Make a key worthless, at once and in every server process."""
    from service.commands.keys import revoke_key

    revoke_key(settings_of(data), name, as_json=as_json)
