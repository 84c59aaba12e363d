"""`train-classifier`: classifiers whose forward pass also says where."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from classify.cli_predict import evaluate, explain, export, predict, table
from classify.train_cli import search, train

DEFAULT = "train"


class _Bare(TyperGroup):
    """Training without a verb; `train` may be said, too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(add_completion=False, rich_markup_mode=None, cls=_Bare, no_args_is_help=True)
app.command()(train)
app.command()(search)
app.command()(predict)
app.command()(evaluate)
app.command()(explain)
app.command()(export)
app.command()(table)


@app.callback()
def main() -> None:
    """Train a classifier whose forward pass also says where: train-classifier DIR --config NAME --out RUN.

    Without a verb it trains; see `train-classifier train --help`.
    """


def train_classifier() -> None:
    """Entry point."""
    from engine.commands import run

    run(app)


if __name__ == "__main__":
    train_classifier()
