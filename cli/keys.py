"""`whichone keys`: who may ask the server."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import STYLE, AsJson, Data, examples, settings_of

__all__ = ["app"]

app = typer.Typer(help="API keys of the server.", **STYLE)


@app.command("create", epilog=examples("whichone keys create phone-app", "whichone keys create ops --scope admin"))
def keys_create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", "-s", help="recognize (if not given) or admin; repeatable.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key. It is shown once."""
    from service.commands.keys import create_key

    create_key(settings_of(data), name, scope or ["recognize"], as_json=as_json)


@app.command("list", epilog=examples("whichone keys list"))
def keys_list(data: Data = None, as_json: AsJson = False) -> None:
    """List the keys by name: scopes, origin, revoked or not."""
    from service.commands.keys import list_keys

    list_keys(settings_of(data), as_json=as_json)


@app.command("revoke", epilog=examples("whichone keys revoke phone-app"))
def keys_revoke(
    name: Annotated[str, typer.Argument(help="The key's name.")], data: Data = None, as_json: AsJson = False
) -> None:
    """Make a key worthless, at once and in every server process."""
    from service.commands.keys import revoke_key

    revoke_key(settings_of(data), name, as_json=as_json)
