"""docs/performance.md holds what the files hold, and says what was not measured."""

import json

import pytest
from page import ROOT, command, interval, section, text
from page import SECTIONS as ALL

SECTIONS = {of.file: of for of in ALL}
MACHINE = dict(processor='a CPU', cores=2, threads=2, gpu=None, torch='2.13.0', python='3.11.7',
               commit='abc')
SHAPE = dict(classes=10, keys=2, rows=8, dim=4, positives=1, negatives=5, written=4)


def value(median, spread=0.1):
    return dict(median=median, low=median - spread, high=median + spread, q1=median, q3=median)


def write(folder, name, rows, **more):
    content = dict(options=dict(device='cpu', rounds=40), machine=MACHINE, rows=rows, **more)
    (folder / f'{name}.json').write_text(json.dumps(content))


def branch(over_floor, released=4.0, waits=None):
    return dict(shape=SHAPE, waits=waits, over_floor=value(over_floor),
                released_over_ours=value(released), seconds=dict(ours=value(0.01, 0.001)))


def test_nothing_measured(tmp_path):
    page = text(tmp_path)
    for of in ALL:
        assert f'## {of.title}' in page
        assert page.count(f'`python tools/benchmark/{of.file}.py`') == 1 + of.gpu
    assert 'nothing is claimed' in page and ' met' not in page and 'missed' not in page
    assert '![' not in page


def test_rows_and_targets(tmp_path):
    write(tmp_path, 'branch', [branch(1.7), branch(1.4, released=2.5)])
    lines = section(tmp_path, SECTIONS['branch'])
    part = '\n'.join(lines)
    assert '1. clones the whole queue before using it;' in part  # what makes the ratio
    assert 'x floor | released x ours | ours (ms) |' in part
    assert '| 1.700 [1.600, 1.800] | 4.00 [3.90, 4.10] | 10.00 [9.00, 11.00] |' in part
    assert 'at the first shape 1.8 x: met.' in part
    assert 'at least 3 x as long: **missed** (10 classes, 2 keys, 8 rows: 2.50).' in part
    assert 'a CPU, 2 cores, 2 threads; torch 2.13.0' in part and 'commit abc' in part
    assert '- On a GPU: nothing waits for the device: not measured.' in part
    assert '![Contrastive branch](performance/branch.png)' in part
    write(tmp_path, 'branch', [branch(1.7), branch(1.6)])  # the second may take 1.5
    assert '**missed** (10 classes, 2 keys, 8 rows: 1.600)' in text(tmp_path)
    assert '| median at most 1.5 x the floor, at the first shape 1.8 x | **missed** |' in \
        text(tmp_path)


def test_gpu_files_stand_beside(tmp_path):
    write(tmp_path, 'branch-gpu', [branch(1.9, waits=True)])
    part = '\n'.join(section(tmp_path, SECTIONS['branch']))
    assert 'nothing waits for the device: **missed**' in part
    assert 'median at most 2 x the floor: met.' in part
    assert 'Not measured yet' in part and 'No GPU was at hand' not in part


@pytest.mark.parametrize('high, said', [(1.05, 'met'), (1.06, '**missed** (rescom_r50_x, 64')])
def test_upper_end_of_a_step(tmp_path, high, said):
    over = dict(value(1.0), high=high)
    write(tmp_path, 'step', [
        dict(case=dict(config='rescom_r50_x', px=64), over_siambs=over),
        dict(case=dict(config='rescom_rx50_x', px=32), over_siambs=value(2.0))],  # has no target
        switches=[dict(case=dict(config='rescom_r32_x'), gains=dict(bf16=value(1.5)))])
    part = '\n'.join(section(tmp_path, SECTIONS['step']))
    assert f'at most 1.05 x SiamBS: {said}' in part
    assert 'bf16 (x as fast)' in part and '1.500 [1.400, 1.600]' in part
    write(tmp_path, 'step', [dict(case=dict(config='rescom_r50_x', px=64), over_siambs=over,
                                  pairs=29)])
    assert '1.05 x SiamBS: not measured (29 pairs, 30 are needed)' in '\n'.join(
        section(tmp_path, SECTIONS['step']))


def test_pipeline(tmp_path):
    rows = [dict(recipe=recipe, over_pillow=value(3.0), images_per_second=dict(ours=value(400)))
            for recipe in ('cifar', 'imagenet')]
    write(tmp_path, 'pipeline', rows)
    part = '\n'.join(section(tmp_path, SECTIONS['pipeline']))
    assert '**missed** (cifar: 3.00).' in part
    assert 'ours (images/s)' in part and '400 [400, 400]' in part
    rows[1]['images'] = 'generated'
    write(tmp_path, 'pipeline', rows)
    assert 'whole recipe on Pillow: not measured (of generated images alone).' in '\n'.join(
        section(tmp_path, SECTIONS['pipeline']))


@pytest.mark.parametrize('package, seconds, said', [
    (0.3, 3.0, ('met', 'met')), (0.31, 3.01, ('**missed** (0.31 s)', '**missed** (3.01 s)'))])
def test_start_up(tmp_path, package, seconds, said):
    rows = [('import mmpretrain', 9.0), ('import rescom_mm after it', package),
            ('list of 437,513 images', seconds)]
    write(tmp_path, 'startup', [dict(what=what, seconds=value(each)) for what, each in rows])
    part = '\n'.join(section(tmp_path, SECTIONS['startup']))
    assert f'after mmpretrain takes at most 0.3 s: {said[0]}.' in part
    assert f'is read in at most 3 s: {said[1]}.' in part
    write(tmp_path, 'startup', [dict(what='import mmpretrain', seconds=value(9.0))])
    assert "not measured (there is no 'import rescom_mm after it' in the file)" in text(tmp_path)


def test_part_of_a_recipe_meets_no_target(tmp_path):
    for full, said in ((False, 'not measured (the whole recipe was not run)'), (True, 'met')):
        content = dict(options=dict(full=full), machine=MACHINE, rows=[dict(training=100.0)])
        (tmp_path / 'epoch-gpu.json').write_text(json.dumps(content))
        part = '\n'.join(section(tmp_path, SECTIONS['epoch']))
        assert f'in at most 3 minutes: {said}.' in part


def test_numbers_and_commands():
    assert interval(value(0.01234, 0.001), 1e3) == '12.34 [11.34, 13.34]'
    assert interval(value(1234.5)) == '1234 [1234, 1235]'
    assert command('x', dict(device='cpu', full=False, no_md5=True, n=None, o=['a=1', 'b=2'])) == \
        'python tools/benchmark/x.py --device cpu --no-md5 --o a=1 b=2'


def test_committed_page_is_the_files():
    assert text(ROOT / 'docs' / 'performance') == (ROOT / 'docs' / 'performance.md').read_text()
