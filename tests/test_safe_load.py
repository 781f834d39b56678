"""No checkpoint runs anything, through any of mmengine's ways to load one."""

import contextlib
import http.server
import io
import pickle
import tarfile
import threading
from functools import partial

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.infer import BaseInferencer
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, FlexibleRunner, load_checkpoint
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmpretrain import ImageClassificationInferencer, get_model

from rescom_mm.utils.pickle_globals import allowed_globals
from rescom_mm.utils.safe_load import TRUST, UnsafeCheckpointError, safe_load
from tests import attacks

pytestmark = pytest.mark.stack


@pytest.mark.parametrize('kind, named', [('system', 'system'), ('eval', 'eval'),
                                         ('getattr', 'getattr(getattr,__self__)'),
                                         ('method', 'getattr(HistoryBuffer,__init__)')])
@pytest.mark.parametrize('zipped', [True, False])
def test_pickles_that_call_are_refused(tmp_path, kind, named, zipped, monkeypatch):
    marker, file = tmp_path / 'marker', tmp_path / 'file.pth'
    monkeypatch.setattr(torch, 'save', partial(torch.save,
                                               _use_new_zipfile_serialization=zipped))
    attacks.checkpoint(file, kind, marker)
    for load in (CheckpointLoader.load_checkpoint, safe_load,
                 partial(load_checkpoint, torch.nn.Linear(1, 1))):
        with pytest.raises(UnsafeCheckpointError) as error:
            load(str(file))
        message = str(error.value)
        assert str(file) in message and named in message and f'set {TRUST}=1' in message
        assert '\n' not in message and not marker.exists()


@pytest.mark.parametrize('kind', attacks.FORGERIES)
def test_forged_pointers_are_refused(tmp_path, kind):
    torch.save(dict(state_dict={}, x=[attacks.FORGERIES[kind]()]), tmp_path / 'file.pth')
    with pytest.raises(UnsafeCheckpointError, match=r'than a checkpoint needs|is damaged'):
        safe_load(tmp_path / 'file.pth')


def test_the_getattr_gadget_is_one_and_is_none_for_us(tmp_path):
    """Also where somebody else has put getattr on torch's list."""
    marker = tmp_path / 'marker'
    file = attacks.checkpoint(tmp_path / 'file.pth', 'getattr', marker)
    registered = list(torch.serialization.get_safe_globals())
    torch.serialization.add_safe_globals([getattr])
    try:
        with pytest.raises(Exception):  # noqa: B017 - it fails after it has run
            torch.load(file, weights_only=True)
        assert marker.exists()
        marker.unlink()
        with pytest.raises(UnsafeCheckpointError):
            safe_load(file)
        assert not marker.exists() and getattr in torch.serialization.get_safe_globals()
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(registered)


def test_opting_in(tmp_path, monkeypatch):
    monkeypatch.setenv(TRUST, '1')
    marker = tmp_path / 'marker'
    file = attacks.checkpoint(tmp_path / 'file.pth', 'system', marker)
    assert 'extra' in CheckpointLoader.load_checkpoint(str(file)) and marker.exists()
    file = attacks.checkpoint(tmp_path / 'file.pth', 'cfg', marker)
    assert 'cfg' in CheckpointLoader.load_checkpoint(str(file))['meta']
    monkeypatch.setenv(TRUST, '0')
    assert 'cfg' not in CheckpointLoader.load_checkpoint(str(file))['meta']


def test_environment_of_torch_does_not_open_it(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    file = attacks.checkpoint(tmp_path / 'file.pth', 'system', tmp_path / 'marker')
    with pytest.raises(UnsafeCheckpointError):
        CheckpointLoader.load_checkpoint(str(file))
    assert not (tmp_path / 'marker').exists()


def test_what_checkpoints_hold_is_loaded(tmp_path):
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    arrays = [np.arange(4).astype(kind) for kind in ('i1', 'u2', 'i4', 'i8', 'f2', 'f4', 'f8', '?')]
    content = dict(history=history, arrays=[*arrays, np.array([]), np.array(['a', 'bc'])],
                   scalars=[np.float64(0.5), np.int64(3), np.bool_(True)],
                   config=ConfigDict(a=[dict(b=1)]), bytes=b'\x00\xff', empty=b'')
    torch.save(content, tmp_path / 'file.pth')
    loaded = safe_load(tmp_path / 'file.pth')
    assert type(loaded['history']) is HistoryBuffer and loaded['history'].mean() == 1.5
    assert loaded['history'].statistics('max') == 2
    assert all(np.array_equal(a, b) and a.dtype == b.dtype
               for a, b in zip(loaded['arrays'], content['arrays']))
    for name in ('scalars', 'config', 'bytes', 'empty'):
        assert loaded[name] == content[name]
    assert [type(scalar) for scalar in loaded['scalars']] == [
        type(scalar) for scalar in content['scalars']]
    assert all(type(array) is np.ndarray and array.flags.owndata and array.flags.writeable
               for array in loaded['arrays'])
    # the module has another name in NumPy 1 and 2
    for old, new in ((b'numpy._core.multiarray', b'numpy.core.multiarray'),
                     (b'numpy.core.multiarray', b'numpy._core.multiarray')):
        buffer = io.BytesIO()
        torch.save(np.arange(3.0), buffer, _use_new_zipfile_serialization=False)
        other = io.BytesIO(buffer.getvalue().replace(old, new))
        assert np.array_equal(safe_load(other), np.arange(3.0))


def test_arrays_of_every_form_in_every_place(tmp_path):
    array, tensor = np.arange(6.0).reshape(2, 3), torch.ones(1)
    tensor.note = array
    forms = [np.asfortranarray(array), array.astype('>i4'), np.array(1.5), np.zeros((0, 3)),
             np.array(['\xe4', 'bc']), np.array([b'a']), np.array([1 + 2j])]
    content = dict(forms=forms, kind=array.dtype, swapped=np.dtype('>f4'), text=np.str_('ab'),
                   complex=np.complex64(1j), same=[array, (array, 1)], tensor=tensor,
                   config=ConfigDict(a=dict(b=[array])), size=torch.Size([2]))
    content['self'] = content
    torch.save(content, tmp_path / 'file.pth')
    loaded = safe_load(tmp_path / 'file.pth')
    for old, new in zip(forms, loaded['forms']):
        assert type(new) is np.ndarray and new.dtype == old.dtype and np.array_equal(new, old)
        assert new.shape == old.shape and new.flags.f_contiguous == old.flags.f_contiguous
    for name in ('kind', 'swapped', 'text', 'complex', 'size'):
        assert loaded[name] == content[name] and type(loaded[name]) is type(content[name])
    copy = loaded['same'][0]
    assert np.array_equal(copy, array) and loaded['same'][1][0] is copy
    assert loaded['tensor'].note is copy and loaded['config'].a.b[0] is copy
    assert loaded['self'] is loaded


def test_an_array_takes_one_state():
    """A second one would free the memory that somebody may look at."""
    named = {f'{entry.__module__}.{entry.__qualname__}': entry for entry in allowed_globals()}
    array = named['numpy.core.multiarray._reconstruct'](named['numpy.ndarray'], (0,), b'b')
    state = 1, (1,), named['numpy.dtype']('f8', False, True), False, b'A' * 8
    array.__setstate__(state)
    with pytest.raises(pickle.UnpicklingError, match=r'numpy\.ndarray\.__setstate__'):
        array.__setstate__(state)


def test_numpy_itself_on_the_list_of_others(tmp_path):
    """What somebody else has put on torch's list of NumPy opens nothing."""
    registered = list(torch.serialization.get_safe_globals())
    torch.serialization.add_safe_globals([np.ndarray, np.dtype, np.frombuffer, HistoryBuffer])
    try:
        for forged in ('ndarray of objects', 'objects'):
            torch.save(attacks.FORGERIES[forged](), tmp_path / 'file.pth')
            with pytest.raises(UnsafeCheckpointError):
                safe_load(tmp_path / 'file.pth')
        torch.save(attacks.Calls(np.frombuffer, b'A' * 8), tmp_path / 'file.pth')
        with pytest.raises(UnsafeCheckpointError, match=r'numpy\.frombuffer'):
            safe_load(tmp_path / 'file.pth')
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(registered)


def test_a_history_cannot_change_its_class(tmp_path):
    history = HistoryBuffer([1.0], [1])
    before = dict(HistoryBuffer._statistics_methods)
    HistoryBuffer._statistics_methods = dict(before, mean=HistoryBuffer.max, own=HistoryBuffer.min)
    try:
        torch.save(history, tmp_path / 'file.pth')
    finally:
        HistoryBuffer._statistics_methods = before
    assert safe_load(tmp_path / 'file.pth').statistics('mean') == 1
    assert HistoryBuffer._statistics_methods == before


def test_tar_files_are_refused(tmp_path):
    """torch before 2.6 can be made to write files when it reads these."""
    with tarfile.open(tmp_path / 'file.pth', 'w') as tar:
        tar.addfile(tarfile.TarInfo('storages'))
    with pytest.raises(UnsafeCheckpointError, match="torch's first format, tar"):
        safe_load(tmp_path / 'file.pth')
    with pytest.raises(UnsafeCheckpointError, match="torch's first format, tar"):
        safe_load(io.BytesIO((tmp_path / 'file.pth').read_bytes()))


class Scripted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(2))

    @torch.jit.export
    def __getstate__(self):
        return (self.w, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]):
        assert False, 'the program has run'  # noqa: B011 - TorchScript knows no raise


def test_programs_of_torchscript_are_refused(tmp_path):
    """torch before 2.6 runs their ``__setstate__``."""
    torch.jit.script(Scripted()).save(tmp_path / 'file.pth')
    content = (tmp_path / 'file.pth').read_bytes()
    with pytest.raises(torch.jit.Error, match='the program has run'):
        torch.jit.load(tmp_path / 'file.pth')
    for file in (tmp_path / 'file.pth', str(tmp_path / 'file.pth'), io.BytesIO(content)):
        with pytest.raises(UnsafeCheckpointError, match='is a TorchScript program'):
            safe_load(file)


def test_a_checkpoint_inside_another_file():
    file = io.BytesIO(b'before')
    file.seek(6)
    torch.save(dict(a=1), file, _use_new_zipfile_serialization=False)  # torch 2.4 reads no other
    file.seek(6)
    assert safe_load(file) == dict(a=1)


def test_files_that_are_no_checkpoints(tmp_path):
    for content in (b'<html>not found</html>', pickle.dumps(attacks.Calls), b'\x80\x02c'):
        (tmp_path / 'file.pth').write_bytes(content)
        with pytest.raises((UnsafeCheckpointError, EOFError)):
            safe_load(tmp_path / 'file.pth')


@pytest.mark.parametrize('kind', ['config', 'cfg', 'hub'])
def test_config_texts_are_set_aside(tmp_path, kind):
    marker = tmp_path / 'marker'
    file = attacks.checkpoint(tmp_path / 'file.pth', kind, marker)
    loaded = CheckpointLoader.load_checkpoint(str(file))
    assert not {'cfg', 'config'} & {*loaded['meta'], *loaded['message_hub']['runtime_info']}
    assert kind == 'hub' or loaded['meta'][f'{kind}_text'] == attacks.program(marker)

    class Inferencer(BaseInferencer):
        _init_pipeline = visualize = postprocess = lambda self, *args: None

    with pytest.raises(ValueError, match=rf'give model=CONFIG_FILE.*set {TRUST}=1') as error:
        Inferencer(weights=str(file), scope='mmengine')
    assert '\n' not in str(error.value) and not marker.exists()


def test_every_scheme(tmp_path, monkeypatch):
    """Local files, downloads (which the frameworks below load with pickle), and schemes that
    others register."""
    marker = tmp_path / 'marker'
    attacks.checkpoint(tmp_path / 'file.pth', 'system', marker)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path))
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    CheckpointLoader.register_scheme('theirs://', lambda name, map_location: torch.load(
        name[len('theirs://'):], map_location, weights_only=False), force=True)
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), partial(
        http.server.SimpleHTTPRequestHandler, directory=str(tmp_path)))
    server.RequestHandlerClass.log_message = lambda *args: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f'http://127.0.0.1:{server.server_port}/file.pth'
    for name in ('get_torchvision_models', 'get_mmcls_models'):
        monkeypatch.setattr(mmengine_checkpoint, name, lambda: {'resnet18': url})
    monkeypatch.setattr(mmengine_checkpoint, 'get_external_models',
                        lambda: {'resnet18': url, 'here': 'file.pth'})
    try:
        for name in (url, 'torchvision://resnet18', 'modelzoo://resnet18', 'mmcls://resnet18',
                     'open-mmlab://resnet18', 'openmmlab://here', f'theirs://{tmp_path}/file.pth',
                     str(tmp_path / 'file.pth')):
            with pytest.raises(UnsafeCheckpointError, match=name.replace('?', '.')):
                CheckpointLoader.load_checkpoint(name)
            assert not marker.exists(), name
    finally:
        server.shutdown()


def test_apis_that_load(tmp_path):
    marker = tmp_path / 'marker'
    file = str(attacks.checkpoint(tmp_path / 'file.pth', 'eval', marker))

    config = Config(dict(model=dict(
        type='ImageClassifier', backbone=dict(type='LeNet5', num_classes=3))))

    class Model(BaseModel):
        def forward(self, *args, **kwargs):
            pass

    for load in (
            partial(get_model, config, pretrained=file),
            partial(ImageClassificationInferencer, config, pretrained=file),
            Model(init_cfg=dict(type='Pretrained', checkpoint=file)).init_weights,
            Model(init_cfg=dict(type='Pretrained', checkpoint=file, prefix='x')).init_weights):
        with pytest.raises(UnsafeCheckpointError, match='it asks for'):
            load()
        assert not marker.exists()


@pytest.mark.parametrize('kind', ['system', 'config'])
def test_flexible_runner(tmp_path, kind):
    marker = tmp_path / 'marker'

    class Model(BaseModel):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.ones(2))

        def forward(self, inputs, mode):
            return dict(loss=self.w.sum() * inputs.sum())

    file = attacks.checkpoint(tmp_path / 'file.pth', kind, marker, dict(
        meta=dict(epoch=1, iter=1), state_dict=Model().state_dict(), optimizer=torch.optim.SGD(
            Model().parameters(), 0.1).state_dict(),
        message_hub=dict(log_scalars={}, runtime_info={}, resumed_keys={})))
    runner = FlexibleRunner(
        Model(), work_dir=str(tmp_path / 'run'), resume=True, load_from=str(file),
        experiment_name=f'flexible_{kind}', log_level='ERROR',
        train_dataloader=dict(dataset=[torch.ones(1)], sampler=dict(type='DefaultSampler')),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)))
    with pytest.raises(UnsafeCheckpointError) if kind == 'system' else contextlib.nullcontext():
        runner.train()
    assert not marker.exists()


def test_a_process_that_only_loads_has_the_statistics_too(tmp_path, monkeypatch):
    torch.save(HistoryBuffer([1.0, 2.0], [1, 1]), tmp_path / 'file.pth')
    monkeypatch.setattr(HistoryBuffer, '_statistics_methods', {})
    assert safe_load(tmp_path / 'file.pth').statistics('mean') == 1.5


def test_others_are_left_alone(tmp_path):
    """torch.load itself, and its list of allowed globals, are as they were."""
    load, registered = torch.load, list(torch.serialization.get_safe_globals())
    torch.save(dict(state_dict={}), tmp_path / 'file.pth')
    CheckpointLoader.load_checkpoint(str(tmp_path / 'file.pth'))
    assert torch.load is load and load.__module__ == 'torch.serialization'
    assert set(map(id, torch.serialization.get_safe_globals())) == set(map(id, registered))
    torch.save(HistoryBuffer(), tmp_path / 'file.pth')
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / 'file.pth', weights_only=True)
