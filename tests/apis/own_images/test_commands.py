"""The commands of docs/your_own_images.md, alone and as they stand there, each a process."""

import json
import os
import re
import shlex
from pathlib import Path

import mmpretrain
import pytest

from tests.own_images import write_own_images
from tests.runs import ROOT, run_tool

PAGE = (ROOT / 'docs' / 'your_own_images.md').read_text(encoding='utf-8')
#: a backbone and images that a CPU trains in seconds
SMALL = [
    'model.backbone._delete_=True', 'model.backbone.type=ResNet_CIFAR', 'model.backbone.depth=18',
    'model.backbone.stem_channels=8', 'model.backbone.base_channels=8',
    'model.head.in_channels=64', 'model.projector.in_channels=64',
    'model.projector.hid_channels=16', 'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'train_dataloader.dataset.pipeline.1.transforms.0.scale=32',
    *(f'{loader}_dataloader.{option}' for loader in ('val', 'test') for option in
      ('dataset.pipeline.1.scale=36', 'dataset.pipeline.2.crop_size=32', 'num_workers=0',
       'persistent_workers=False'))]


def documented():
    """The four commands."""
    block = re.search(r'```bash\n(.*?)```', PAGE, re.S)[1]
    commands = [shlex.split(line) for line in block.splitlines()]
    assert [command[1] for command in commands] == [
        'tools/data/inspect.py', 'tools/data/split.py', 'tools/train.py', 'tools/test.py']
    return commands


def follow(folder, epochs, replace=None, tools=None):
    """Runs the commands in a folder that has ``data/birds``; returns what each says.

    Args:
        folder: to work in.
        epochs: to train.
        replace: other words in the place of some.
        tools: folder of other train.py and test.py.
    """
    (folder / 'tools').symlink_to(ROOT / 'tools')
    replace = {'epoch_100.pth': f'epoch_{epochs}.pth', **(replace or {})}
    said = []
    for python, tool, *words in documented():
        assert python == 'python'
        for old, new in replace.items():
            words = [word.replace(old, new) for word in words]
        if tool in ('tools/train.py', 'tools/test.py'):
            words += ['--cfg-options', *SMALL, f'train_cfg.max_epochs={epochs}']
            tool = tools / Path(tool).name if tools else tool
        done = run_tool(tool, *words, cwd=folder, env=dict(PYTHONPATH=str(ROOT)))
        said.append(done.stdout)
    return said


def check(folder, said, counts, broken):
    """The trained model is there, with the table and the picture; nothing was lost on the way."""
    results = json.loads((folder / 'work_dirs/birds/results.json').read_text())
    assert (folder / 'work_dirs/birds/results.png').is_file()
    data = folder / 'data/birds'
    train, test = ((data / name).read_text().split('\n')[:-1] for name in ('train.txt', 'test.txt'))
    assert len(train) + len(test) == sum(counts.values()) - len(broken)
    assert not {line.rpartition(' ')[0] for line in train + test} & set(broken)
    assert results['classes'] == sorted(counts)
    assert (data / 'classes.txt').read_text() == ''.join(f'{name}\n' for name in sorted(counts))
    assert sum(results['class_counts']['images']) == len(train)
    without = [name for name, accuracy in zip(results['classes'], results['per_class_accuracy'])
               if accuracy is None]
    assert without == [name for name, count in sorted(counts.items()) if count == 1] != []
    assert 'next: python tools/data/split.py data/birds\n' in said[0]
    assert 'next: python tools/train.py birds.py\n' in said[1]
    assert 'Last epoch' in said[2] and 'results.png' in said[2]
    for output in said[2:]:
        assert 'cannot be decoded' not in output and 'Traceback' not in output
        assert f'{results["final"]["figures"]["shot/all"]:.2f}' in output
    return results


def test_four_commands(tmp_path):
    counts, broken = write_own_images(tmp_path / 'data/birds', classes=20, largest=30)
    check(tmp_path, follow(tmp_path, epochs=1), counts, broken)


@pytest.mark.slow
def test_two_hundred_classes(tmp_path):
    counts, broken = write_own_images(tmp_path / 'data/birds', classes=200, largest=300)
    results = check(tmp_path, follow(tmp_path, epochs=2), counts, broken)
    assert len(results['classes']) == 200 and 'shot/many' in results['final']['figures']


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['list', 'imagefolder', 'metadata'])
def test_other_sources(tmp_path, kind):
    """The same commands; with a test part, split has nothing to do."""
    data = tmp_path / 'data/birds'
    counts, broken = write_own_images(tmp_path / 'all', classes=20, largest=30)
    names = sorted(counts)
    files = [(path, label, k) for label, name in enumerate(names) for k, path in enumerate(
        sorted(path for path in (tmp_path / 'all' / name).iterdir() if path.suffix != '.txt'))]
    replace = {}
    if kind == 'list':
        data.mkdir(parents=True)
        (data / 'all.txt').write_text(''.join(f'{path} {label}\n' for path, label, _ in files))
        replace = {'data/birds': 'data/birds/all.txt'}
    for i, (path, label, k) in enumerate(files if kind != 'list' else []):
        part = data / ('validation' if k % 3 == 1 else 'train')
        target = part / names[label] if kind == 'imagefolder' else part
        target.mkdir(parents=True, exist_ok=True)
        name = path.name if kind == 'imagefolder' else f'{i} {path.name}'
        os.link(path, target / name)
        if kind == 'metadata':
            with (part / 'metadata.jsonl').open('a', encoding='utf-8') as file:
                file.write(json.dumps(dict(label=names[label], file_name=name)) + '\n')
    said = follow(tmp_path, 1, replace)
    assert ('nothing to split' in said[1]) == (kind != 'list')
    results = json.loads((tmp_path / 'work_dirs/birds/results.json').read_text())
    assert results['classes'] == (names if kind != 'list' else [str(k) for k in range(20)])
    assert f'{len(broken)} images cannot be read' in said[0]


@pytest.mark.slow
def test_stock_tools(tmp_path):
    """mmpretrain's own train.py and test.py take the config that inspect.py wrote."""
    counts, broken = write_own_images(tmp_path / 'data/birds', classes=20, largest=30)
    tools = Path(mmpretrain.__file__).parent / '.mim' / 'tools'
    said = follow(tmp_path, 1, tools=tools)
    results = json.loads((tmp_path / 'work_dirs/birds/results.json').read_text())
    assert f'shot/all: {results["final"]["figures"]["shot/all"]:.4f}' in said[3]
    assert results['classes'] == sorted(counts) and broken
