"""What the tools for trained models have in common."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config, DictAction

from .inference_model import InferenceModel, inference_model


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """What all tools for trained models take."""
    parser.add_argument('config', help='config file of the training')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help='override settings of the config, key=value')


def read_model(args: argparse.Namespace) -> tuple[Config, InferenceModel]:
    """The config, and the inference model of the checkpoint.

    Raises:
        SystemExit: in one line, if they are not there or don't fit.
    """
    for file in (args.config, args.checkpoint):
        if not Path(file).is_file():
            raise SystemExit(f'{file} does not exist')
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    try:
        return cfg, inference_model(cfg, args.checkpoint)
    except ValueError as error:
        raise SystemExit(str(error)) from error


def output_file(name: str, inputs: Sequence[str], endings: Sequence[str] = ('.pth', )) -> Path:
    """Where a model goes.

    Args:
        name: of the file; its folder is made where it is missing.
        inputs: files that are read.
        endings: that it may have; beside a ``.pth`` goes its config.

    Raises:
        SystemExit: for another ending, if it or the config beside it is one of the inputs, or if
            nothing can be written there.
    """
    out = Path(name).expanduser()
    if out.suffix not in endings:
        raise SystemExit(f'{out}: the name must end in {" or ".join(endings)}')
    given = {Path(file).resolve() for file in inputs}
    for file in (out, out.with_suffix('.py')) if out.suffix == '.pth' else (out, ):
        if file.resolve() in given:
            raise SystemExit(f'{file} is read, and would be overwritten; give another name')
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f'{out.parent} cannot be made ({error.strerror}); give another folder'
                         ) from error
    if not os.access(out.parent, os.W_OK):
        raise SystemExit(f'{out.parent} cannot be written to; give another folder')
    return out


def with_options(error: ValueError) -> str:
    """A message on a prior, with the command's option in the place of the argument's name."""
    return re.sub('^(test|trained)_prior', r'--\1-prior', str(error))


def write_pair(found: InferenceModel, out: Path) -> None:
    """Writes checkpoint and config, and says what they are."""
    found.save(out)
    names = found.meta['dataset_meta'].get('classes')
    print(f'{out} ({out.stat().st_size / 2**20:.1f} MiB) and {out.with_suffix(".py")}: '
          f'{len(names) if names else "no"} class names'
          + ('' if found.counts is None else f', {sum(found.counts)} training images'))
    for remark in found.remarks:
        print(remark)
