"""Brings a benchmark's files together and checks them: ``tools/data/prepare.py``."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from ..datasets import CIFAR10LT, CIFAR100LT, ImageNetLT, INaturalist18, PlacesLT
from ..datasets.cifar_lt import CIFARLT
from ..datasets.list_benchmark import ListBenchmark
from .benchmark_files import link_images, supply_lists
from .check_data import Row, check_cifar, check_lists, table

CIFAR: dict[str, type[CIFARLT]] = {cls.NAME: cls for cls in (CIFAR10LT, CIFAR100LT)}
LISTS: dict[str, type[ListBenchmark]] = {cls.NAME: cls
                                         for cls in (ImageNetLT, PlacesLT, INaturalist18)}
#: a config of each benchmark, and its data_root
CONFIGS = {'cifar10': ('configs/rescom/rescom_r32_cifar10-lt-if100.py', 'data/cifar10'),
           'cifar100': ('configs/rescom/rescom_r32_cifar100-lt-if100.py', 'data/cifar100'),
           'imagenet-lt': ('configs/rescom/rescom_r50_imagenet-lt.py', 'data/imagenet'),
           'places-lt': ('configs/rescom/rescom_r152_places-lt.py', 'data/places'),
           'inat18': ('configs/rescom/rescom_r50_inat18.py', 'data/inat18')}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of ``tools/data/prepare.py``."""
    parser = argparse.ArgumentParser(
        description='Link the images of a benchmark, bring its lists, check both and print the '
        'shot groups (many > 100, medium 20 to 100, few < 20). Nothing is ever replaced.')
    parser.add_argument('benchmark', choices=[*CIFAR, *LISTS])
    parser.add_argument('--data-root', type=Path, help="data_root of the data set (default: the "
                        "configs', such as data/imagenet)")
    parser.add_argument('--images', type=Path, nargs='+', default=[], metavar='DIR',
                        help='folder of the images that you have (one or more): its folders are '
                        'linked under the data_root')
    parser.add_argument('--lists', type=Path, metavar='DIR',
                        help='folder of the list files that you have: those missing under the '
                        'data_root are copied')
    parser.add_argument('--download', action='store_true',
                        help='fetch the lists, or the whole of CIFAR, where they are missing')
    parser.add_argument('--no-check-md5', action='store_true',
                        help='accept other copies of CIFAR than the official files')
    parser.add_argument('--no-check-images', action='store_true',
                        help='do not look whether every image of the lists exists')
    args = parser.parse_args(argv)
    if args.benchmark in LISTS and args.no_check_md5:
        parser.error(f'--no-check-md5 is for {" and ".join(CIFAR)}')
    if args.benchmark in CIFAR and (args.lists or args.no_check_images):
        parser.error(f'--lists and --no-check-images are for {", ".join(LISTS)}')
    if args.lists:
        args.lists = args.lists.expanduser()
        if not args.lists.is_dir():
            parser.error(f'--lists {args.lists} is no folder')
    args.data_root = (args.data_root or Path(CONFIGS[args.benchmark][1])).expanduser()
    args.images = [folder.expanduser() for folder in args.images]
    return args


def bring_files(args: argparse.Namespace) -> None:
    """Links, copies, makes or fetches what the options ask for."""
    root = args.data_root
    if args.benchmark in CIFAR:
        if args.images:
            link_images(args.images, root, (CIFAR[args.benchmark].FOLDER, ))
        if args.download:
            _download_cifar(CIFAR[args.benchmark], root)
        return
    cls = LISTS[args.benchmark]
    found = link_images(args.images, root, cls.FOLDERS, cls.LEVELS) if args.images else []
    beside = dict.fromkeys([root, *args.images, *(folder.parent for folder in found)])
    supply_lists(cls, root, args.lists, list(beside), args.download)


def _download_cifar(cls: type[CIFARLT], root: Path) -> None:
    if os.path.lexists(root / cls.FOLDER):  # unpacking would write over what is in it
        return
    from torchvision.datasets import CIFAR10, CIFAR100
    root.mkdir(parents=True, exist_ok=True)
    try:
        (CIFAR10 if cls is CIFAR10LT else CIFAR100)(str(root), download=True)
    except (OSError, RuntimeError) as error:
        print(f'{cls.URL} could not be fetched: {error}')


def training_command(args: argparse.Namespace) -> str:
    """How to train on what was prepared."""
    config, data_root = CONFIGS[args.benchmark]
    options = [f'data_root={shlex.quote(str(args.data_root))}'] if (
        args.data_root != Path(data_root)) else []
    options += ['check_md5=False'] if args.no_check_md5 else []
    words = [f'{loader}_dataloader.dataset.{option}' for loader in ('train', 'val', 'test')
             for option in options]
    if args.benchmark == 'places-lt':
        words.append('model.backbone.init_cfg.checkpoint=RESNET152_FILE')
    return ' '.join(['python tools/train.py', config, *(['--cfg-options'] if words else []),
                     *words])


def next_step(args: argparse.Namespace, rows: Sequence[Row]) -> str:
    """What to do where something is missing, with the command to give."""
    command = f'python tools/data/prepare.py {args.benchmark}'
    if args.data_root != Path(CONFIGS[args.benchmark][1]):
        command += f' --data-root {shlex.quote(str(args.data_root))}'
    for option in ('no_check_md5', 'no_check_images'):
        if getattr(args, option):
            command += f' --{option.replace("_", "-")}'
    if args.benchmark in CIFAR:
        return _next_for_cifar(args, rows, command)
    return _next_for_lists(args, rows, command)


def _next_for_cifar(args: argparse.Namespace, rows: Sequence[Row], command: str) -> str:
    cls = CIFAR[args.benchmark]
    if os.path.lexists(args.data_root / cls.FOLDER):
        step = f'move {args.data_root / cls.FOLDER} away, then {command} --download'
        others = any('right files' in row.lacks for row in rows) and not args.no_check_md5
        return step + (f', or accept these files: {command} --no-check-md5' if others else '')
    if args.download:
        return f'unpack {cls.URL} into {args.data_root} yourself, then {command}'
    return f'{command} --download (or --images FOLDER, if FOLDER holds {cls.FOLDER})'


def _next_for_lists(args: argparse.Namespace, rows: Sequence[Row], command: str) -> str:
    cls, root = LISTS[args.benchmark], args.data_root
    rows = [row for row in rows if row.split in cls.URLS]  # one a list
    wrong = [str(root / cls.LISTS[row.split]) for row in rows if 'right files' in row.lacks]
    absent = [cls.URLS[row.split] for row in rows if 'files' in row.lacks]
    steps = [f'move {", ".join(wrong)} away'] if wrong else []
    hints = []
    if any('folder' in row.lacks for row in rows) or (
            absent and not any((root / name).exists() for name in cls.FOLDERS)):
        command += ' --images FOLDER'
        hints.append(f'FOLDER holds one or more of {", ".join(cls.FOLDERS)}')
    if absent and args.download:
        steps.append(f'put {", ".join(absent)} into {root} yourself')
    elif absent or wrong:
        command += ' --download'
        hints.append('--lists FOLDER in place of --download takes the lists that you have')
    if any('images' in row.lacks for row in rows):
        steps.append(f'complete the images ({cls.SOURCE})')
    return ', then '.join([*steps, command]) + (f' ({"; ".join(hints)})' if hints else '')


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``tools/data/prepare.py``; ends with 1 where something is not in order."""
    args = parse_args(argv)
    try:
        bring_files(args)
        rows = (check_cifar(CIFAR[args.benchmark], args.data_root, not args.no_check_md5)
                if args.benchmark in CIFAR else
                check_lists(LISTS[args.benchmark], args.data_root, not args.no_check_images))
    except OSError as error:
        raise SystemExit(f'{error}: see that it can be read and {args.data_root} be written to, '
                         'or give another --data-root') from error
    print(table(rows))
    for detail in dict.fromkeys(row.detail for row in rows if row.detail):
        print(detail)
    wrong = [row.split for row in rows if row.lacks]
    if wrong:
        raise SystemExit(f'{args.benchmark}: not in order: {"; ".join(wrong)}. Next: '
                         f'{next_step(args, rows)}')
    what = 'lists' if args.no_check_images else 'all'
    print(f'{args.benchmark}: {what} in order in {args.data_root}. Next: {training_command(args)}')
