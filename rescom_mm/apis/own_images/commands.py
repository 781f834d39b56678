"""The commands that inspect and split name to go on with."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path


def tool(name: str) -> str:
    """How to call another tool of the folder that this one was started from."""
    here = Path(sys.argv[0])
    folder = here.parent.parent if here.parent.name == 'data' else Path('tools')
    return f'python {shlex.quote((folder / name).as_posix())}'


def train_command(config: Path) -> str:
    """The training with a config."""
    return f'{tool("train.py")} {shlex.quote(str(config))}'


def source_command(name: str, args: argparse.Namespace) -> str:
    """Inspect or split, on the source of the other one and with its options of the source."""
    given = {'--test': args.test, '--out': args.out, '--images': args.images,
             '--classes': args.classes, '--config': args.config,
             '--label-column': args.label_column if args.label_column != 'label' else None}
    return ' '.join([tool(name), shlex.quote(str(args.source)), *(
        f'{option} {shlex.quote(str(value))}' for option, value in given.items() if value)])
