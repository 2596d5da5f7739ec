"""`weir contracts`: compare the contract with the code, and render it."""

from pathlib import Path
from typing import Annotated

import orjson
import typer

from contracts.check import check
from contracts.model import PATH, Contract, ContractError, load
from contracts.render import GENERATED, rendered, write

app = typer.Typer(
    help="Check the contract against the code; render its pages and schemas.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
ContractFile = Annotated[Path, typer.Option("--contract", help="The YAML to read.")]
Folder = Annotated[Path, typer.Option("--folder", help="Where the rendered files lie.")]


@app.command("check")
def check_command(as_json: AsJson = False, contract: ContractFile = PATH, folder: Folder = GENERATED) -> None:
    """Compare the contract with the code both ways; ends with 1 where they differ."""
    report = check(_read(contract), folder)
    if as_json:
        mismatches = [
            {"contract": m.contract, "code": m.code, "problem": m.problem} for m in report.mismatches
        ]
        typer.echo(orjson.dumps({"ok": report.ok, "counts": report.counts, "mismatches": mismatches}))
    else:
        for mismatch in report.mismatches:
            typer.echo(str(mismatch), err=True)
        compared = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in report.counts.items())
        typer.echo(f"{len(report.mismatches)} mismatches in {compared}")
    if not report.ok:
        raise typer.Exit(1)


@app.command("render")
def render_command(
    as_json: AsJson = False, contract: ContractFile = PATH, folder: Folder = GENERATED
) -> None:
    """Write the pages, JSON Schemas and the AsyncAPI document; say what changed."""
    changed = write(rendered(_read(contract)), folder)
    if as_json:
        typer.echo(orjson.dumps({"changed": changed}))
    else:
        typer.echo(f"{len(changed)} files changed" + "".join(f"\n  {name}" for name in changed))


def _read(path: Path) -> Contract:
    try:
        return load(path)
    except (ContractError, OSError) as error:
        typer.echo(f"{path.name}: {error}", err=True)
        raise typer.Exit(1) from error
