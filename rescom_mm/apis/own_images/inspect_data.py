"""Looks through one's own images and writes a config for them: ``tools/data/inspect.py``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

from ...visualization import draw_class_counts
from ..check_data import missing_images
from ..memory import known_sizes
from .commands import source_command, train_command
from .config import BASE, config_name, config_text, find_base
from .decode import Checked, check_images
from .lists import (
    differing,
    list_texts,
    make_out,
    read_unreadable,
    split_lists,
    write_texts,
    write_unreadable,
)
from .report import (
    THRESHOLDS,
    class_table,
    class_warnings,
    file_warnings,
    group_lines,
    image_lines,
)
from .sizes import TEST_PER_CLASS, held_out, suggest_sizes
from .sources import ImageSource, add_source_options, find_source


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of ``tools/data/inspect.py``."""
    parser = argparse.ArgumentParser(
        description='Look through your own images: class sizes, files that cannot be read, sizes '
        'for queue and mining, memory; and write a config that trains on them.')
    add_source_options(parser)
    parser.add_argument('--config', type=Path, help='the config to write (default: NAME.py here, '
                        'after the folder of the images)')
    parser.add_argument('--base', type=Path, help=f'the config that it inherits (default: {BASE})')
    parser.add_argument('--no-decode', action='store_true',
                        help='look for the files only, without decoding each')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1,
                        help='threads that decode (default: %(default)s)')
    parser.add_argument('--all-classes', action='store_true', help='show the table in full')
    parser.add_argument('--force', action='store_true',
                        help='write over a config and lists of another content')
    args = parser.parse_args(argv)
    if args.workers < 1:
        parser.error(f'--workers must be at least 1, got {args.workers}')
    if args.config is not None and args.config.suffix != '.py':
        parser.error(f'--config {args.config}: the name must end in .py')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``tools/data/inspect.py``."""
    args = parse_args(argv)
    try:
        inspect_images(args)
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from error


def inspect_images(args: argparse.Namespace) -> None:
    """Prints what is to be known of the images, and writes config, lists and picture.

    Raises:
        OSError: for what does not exist, or cannot be written.
        ValueError: in one line, for images that cannot be used.
    """
    base = find_base(args.base)
    found = find_source(args)
    out = make_out(args.source, args.out)
    config = args.config or Path(config_name(args.source))
    lists = None if found.is_split else split_lists(out, found.root)
    checked = look_at_files([found, *([lists] if lists else [])], args)
    bad = {path: image.reason for path, image in checked.items() if image.reason}
    if not args.no_decode:
        write_unreadable(out, bad)
    source = (lists or found).without([*bad, *read_unreadable(out)])

    _print_classes(source, args)
    warnings = [*class_warnings(source), *file_warnings(source, checked),
                *(_list_warnings(found, lists, out) if lists else [])]
    for line in [*image_lines(list(checked.values())), *map('warning: {}'.format, warnings)]:
        print(line)
    train = source.counts()
    sizes = suggest_sizes(len(train), float(np.median(
        train if source.is_split else train - held_out(train, TEST_PER_CLASS))))
    print(f'suggested: keys_per_class={sizes.keys_per_class} (a queue of '
          f'{sizes.keys_per_class * len(train)} keys), num_positives={sizes.num_positives}, '
          f'num_negatives={sizes.num_negatives}')

    texts = {config: config_text(source, out, config, base, sizes)}
    if found.is_split:
        texts.update({out / name: text for name, text in list_texts(source).items()})
    kept = [] if args.force else differing(texts)
    write_texts({file: text for file, text in texts.items() if file not in kept})
    picture = Path('work_dirs') / config.stem / 'class_counts.png'
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw_class_counts(train.tolist(), source.classes, THRESHOLDS, picture)
    print('\n  '.join(memory_lines(config)))
    print('written:', ', '.join([*(str(file) for file in texts if file not in kept), str(picture)]))
    if kept:
        print(f'left as they are, with another content than now: {", ".join(map(str, kept))} '
              '(--force writes them anew)')
    print('next:', train_command(config) if source.is_split else
          source_command('data/split.py', args))


def look_at_files(sources: Sequence[ImageSource], args: argparse.Namespace) -> dict[str, Checked]:
    """What was found of each image, or with ``--no-decode`` of each that is missing."""
    root = sources[0].root
    paths = list(dict.fromkeys(path for source in sources for part in source.parts.values()
                               for path in part.paths))
    if not args.no_decode:
        return dict(zip(paths, check_images(paths, root, args.workers)))
    missing = set(missing_images([os.path.join(root, path) for path in paths]))
    return {path: Checked('does not exist') for path in paths
            if os.path.join(root, path) in missing}


def memory_lines(config: Path) -> list[str]:
    """Sizes of a training with a config, for which its model is built."""
    cfg = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model)
    images = cfg.train_dataloader.batch_size
    return [f'memory at {images} images a step, activations aside:', *known_sizes(model, images)]


def _print_classes(source: ImageSource, args: argparse.Namespace) -> None:
    splits = ', '.join(f'{len(part.paths)} {split}' for split, part in source.parts.items())
    print(f'{args.source}: {source.kind}; {len(source.classes)} classes; images: '
          + (splits if source.is_split else f'{splits}, none apart to test on yet'))
    columns: Mapping[str, np.ndarray] = {split: source.counts(split) for split in source.parts}
    print('\n'.join(class_table(source.classes, columns, args.all_classes)))
    print('\n'.join(group_lines(source.counts())))


def _list_warnings(found: ImageSource, lists: ImageSource, out: Path) -> list[str]:
    """How the lists that split.py wrote differ from the images that are there."""
    unreadable = set(read_unreadable(out))
    listed = {path for part in lists.parts.values() for path in part.paths}
    warnings = []
    if listed & unreadable:
        warnings.append(f'the lists in {out} hold images that cannot be read: write them anew with '
                        'split.py --force')
    more = len(set(found.parts['train'].paths) - listed - unreadable)
    if more:
        warnings.append(f'{more} images are in none of the lists in {out}; split.py --force '
                        'makes these anew')
    return warnings
