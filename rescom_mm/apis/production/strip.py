"""Makes a checkpoint for inference: ``tools/model/strip.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .cli import add_model_options, output_file, read_model, with_options, write_pair


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of ``tools/model/strip.py``."""
    parser = argparse.ArgumentParser(
        description='Write an inference checkpoint (no projector, queue, optimiser, EMA source), '
        'and beside it a config of stock mmpretrain components.')
    add_model_options(parser)
    parser.add_argument('out', nargs='?', help='the new checkpoint, OUT.pth; its config is OUT.py '
                        '(default: CHECKPOINT_stripped.pth)')
    parser.add_argument('--test-prior', metavar='PRIOR', help='adjust to this class prior of the '
                        'images to classify: uniform, train, or a file of a number a line')
    parser.add_argument('--trained-prior', metavar='PRIOR', help='the prior that the logits stand '
                        'for; needed only where it is not known (after plain cross-entropy: train)')
    args = parser.parse_args(argv)
    if args.trained_prior and not args.test_prior:
        parser.error('--trained-prior needs --test-prior')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``tools/model/strip.py``."""
    args = parse_args(argv)
    default = str(Path(args.checkpoint).with_suffix('')) + '_stripped.pth'
    out = output_file(args.out or default, [args.config, args.checkpoint])
    _, found = read_model(args)
    if args.test_prior:
        try:
            found.adjust(args.test_prior, args.trained_prior)
        except ValueError as error:
            raise SystemExit(with_options(error)) from error
    write_pair(found, out)
