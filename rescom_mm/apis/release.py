"""Bundles finished trainings for others: ``tools/release.py``."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from ..utils.safe_load import UnsafeCheckpointError, safe_load
from ..utils.whole_checkpoint import newest_resumable
from ..version import __version__

# of results.json, what the index says of a run
_SAID = ('config', 'seed', 'epochs', 'iterations', 'batch_size', 'commit', 'versions', 'hardware',
         'wall_time_s', 'final')


@dataclass(frozen=True)
class FinishedRun:
    """What a work directory holds of a finished training.

    Attributes:
        folder: the work directory.
        results: content of ``results.json``.
        checkpoint: the one of the last iteration.
        logs: of the training, several where it was resumed.
    """

    folder: Path
    results: dict[str, Any]
    checkpoint: Path
    logs: list[Path]

    @property
    def name(self) -> str:
        """Config, epochs and seed."""
        config = Path(self.results['config'] or self.folder.name).stem
        return f'{config}_{self.results["epochs"]:g}e_seed{self.results["seed"]}'

    @classmethod
    def find(cls, folder: Path) -> FinishedRun:
        """Looks whether all is there.

        Raises:
            ValueError: in one line, if something is missing, damaged, or of another training.
        """
        try:
            results = json.loads((folder / 'results.json').read_text())
        except (OSError, ValueError) as error:
            raise ValueError(f'{folder} has no results.json of a finished training ({error}); '
                             'train.py --resume finishes it') from error
        if not results.get('final'):
            raise ValueError(f'{folder}/results.json has no final figures; train.py --resume '
                             'tests it')
        checkpoint = newest_resumable(folder, optimizer=False)
        if checkpoint is None:
            raise ValueError(f'{folder} has no whole checkpoint')
        iteration = safe_load(checkpoint)['meta'].get('iter')
        if iteration != results['iterations']:
            raise ValueError(f'{checkpoint} is {iteration} iterations far, results.json '
                             f'{results["iterations"]}; bundle what belongs together')
        logs = sorted(folder.glob('*/*.log'))
        if not logs:
            raise ValueError(f'{folder} has no log (TIME/TIME.log)')
        return cls(folder, results, Path(checkpoint), logs)

    def write(self, folder: Path) -> dict[str, Any]:
        """Puts the files of the run into a new folder; returns the run's entry of the index."""
        folder.mkdir()
        for file in self.logs:
            shutil.copyfile(file, folder / file.name)
        shutil.copyfile(self.folder / 'results.json', folder / 'results.json')
        config = folder / 'config.py'
        config.write_text(self.results['config_text'])
        weights = folder / f'{self.name}.pth'
        _write_weights(config, self.checkpoint, weights)
        # the first digits of the checksum in the name, where torch.hub looks for them
        stem = f'{self.name}-{sha256(weights)[:8]}'
        for file in folder.glob(f'{self.name}.*'):
            file.rename(folder / f'{stem}{file.suffix}')
        return dict(name=self.name, **{key: self.results[key] for key in _SAID},
                    weights=f'{self.name}/{stem}.pth')


def _write_weights(config: Path, checkpoint: Path, out: Path) -> None:
    """The inference model and its config, where ``tools/model/strip.py`` is there to make them;
    else all weights, without the optimiser."""
    if find_spec('rescom_mm.apis.strip'):
        import_module('rescom_mm.apis.strip').main([str(config), str(checkpoint), str(out)])
        return
    loaded = safe_load(checkpoint, 'cpu')
    meta = {key: loaded['meta'][key] for key in ('epoch', 'iter', 'dataset_meta')
            if key in loaded['meta']}
    torch.save(dict(meta=meta, state_dict=loaded['state_dict']), out)


def sha256(file: Path) -> str:
    """Checksum of a file, in hexadecimal digits."""
    with open(file, 'rb') as opened:
        digest = hashlib.sha256()
        while part := opened.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def bundle(folders: Sequence[Path], out: Path) -> None:
    """Writes the bundle, whole or not at all.

    Args:
        folders: work directories.
        out: a new folder, or a new ``.zip`` file.

    Raises:
        ValueError: a line for each work directory that is not complete, or if two runs have the
            same name, or ``out`` is there already.
    """
    if out.exists():
        raise ValueError(f'{out} is there already; remove it, or give another --out')
    runs, missing = [], []
    for folder in folders:
        try:
            runs.append(FinishedRun.find(folder))
        except (ValueError, UnsafeCheckpointError) as error:
            missing.append(str(error))
    if missing:
        raise ValueError('\n'.join([*missing, 'nothing was written']))
    twice = [name for name, number in Counter(run.name for run in runs).items() if number > 1]
    if twice:
        raise ValueError(f'several runs are a {twice[0]}; bundle them separately')
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as made:
        root = Path(made) / out.stem
        root.mkdir()
        index = dict(rescom_mm=__version__, runs=[run.write(root / run.name) for run in runs])
        (root / 'index.json').write_text(json.dumps(index, indent=1) + '\n')
        sums = {file.relative_to(root): sha256(file) for file in sorted(root.rglob('*'))
                if file.is_file()}
        (root / 'SHA256SUMS').write_text(''.join(f'{digest}  {file}\n'
                                                 for file, digest in sums.items()))
        if out.suffix == '.zip':
            root = Path(shutil.make_archive(str(root), 'zip', root))
        root.rename(out)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of ``tools/release.py``."""
    parser = argparse.ArgumentParser(
        description='Bundle weights, config, logs and results.json of finished trainings, with an '
        'index.json and a SHA256SUMS that `sha256sum -c` reads. Logs, config and results are '
        'copied as they are, paths of your machine in them.')
    parser.add_argument('work_dirs', nargs='+', type=Path, metavar='WORK_DIR')
    parser.add_argument('--out', required=True, type=Path, help='a new folder, or FILE.zip')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``tools/release.py``."""
    args = parse_args(argv)
    try:
        bundle(args.work_dirs, args.out)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    print(f'{args.out}: {len(args.work_dirs)} trainings')
