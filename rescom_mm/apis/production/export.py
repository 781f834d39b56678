"""Exports a trained model to ONNX or torch.export: ``tools/model/export.py``."""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, TRANSFORMS
from torch import Tensor, nn

from .cli import add_model_options, output_file, read_model
from .inference_model import InferenceModel
from .stock_config import type_name

#: largest difference of probabilities to the model's; of logits as a share of the largest one
TOLERANCE = 1e-4
OUTPUTS = ('scores', 'logits')
_BATCHES = (1, 2, 5)


class Deployed(nn.Module):
    """Images to probabilities and logits, in one graph.

    Args:
        model: an ``ImageClassifier``; what its data preprocessor does to the values is in the
            graph.
        rgb: whether the data preprocessor gets RGB images, as CIFAR's data sets give them; image
            files are loaded as BGR.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: Any, rgb: bool) -> None:
        super().__init__()
        prepare = model.data_preprocessor
        ones = torch.ones(3, 1, 1)
        self.model = model
        # to_rgb turns BGR into RGB, and RGB into BGR
        self.flip = prepare.to_rgb == rgb
        normalises = prepare._enable_normalize
        self.register_buffer('mean', prepare.mean.float().clone() if normalises else 0 * ones)
        self.register_buffer('std', prepare.std.float().clone() if normalises else ones)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Classifies.

        Args:
            image: uint8 ``[N, 3, H, W]``, RGB.

        Returns:
            ``scores`` and ``logits``, float32 ``[N, C]``.
        """
        image = image.flip(1) if self.flip else image
        logits = self.model((image.float() - self.mean) / self.std, mode='tensor')
        return logits.softmax(-1), logits


def loads_files(pipeline: Sequence[dict]) -> bool:
    """Whether a pipeline decodes files, which gives BGR; what data sets hold in memory is RGB."""
    return any(type_name(step['type']).startswith('Load') for step in pipeline)


def image_size(pipeline: Sequence[dict], dataset: dict) -> tuple[int, int]:
    """Height and width of what a test pipeline gives, for images of any size.

    Args:
        pipeline: of ``test_dataloader.dataset``.
        dataset: its config, whose first image tells it where the pipeline leaves sizes alone.

    Raises:
        ValueError: if they differ from image to image.
    """
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        steps = [TRANSFORMS.build(dict(step)) for step in pipeline if not loads_files([step])]
        sizes = set()
        for height, width in ((640, 480), (700, 900)):
            item: Any = dict(img=np.zeros((height, width, 3), np.uint8),
                             img_shape=(height, width), ori_shape=(height, width), gt_label=0)
            for step in steps:
                item = step(item)
            sizes.add(tuple(item['inputs'].shape[-2:]))
        if len(sizes) > 1:
            try:
                sizes = {tuple(DATASETS.build(dict(dataset))[0]['inputs'].shape[-2:])}
            except Exception as error:  # the images are not here
                raise ValueError('the size of the images is not known: give --size HEIGHT WIDTH '
                                 f'({type(error).__name__}: {error})') from error
    return sizes.pop()


def metadata(found: InferenceModel, size: tuple[int, int]) -> dict[str, str]:
    """What a user of the file needs to know, as text."""
    pipeline = found.config['test_dataloader'].get('dataset', {}).get('pipeline', [])
    return dict(input=f'image: uint8 [N, 3, {size[0]}, {size[1]}], RGB, 0 ... 255',
                outputs='scores: float32 [N, C], softmax of logits; logits: float32 [N, C]',
                classes=json.dumps(found.meta['dataset_meta'].get('classes')),
                logits_prior=json.dumps(found.meta.get('logits_prior')),
                test_pipeline=json.dumps(pipeline), rescom_mm=found.meta['rescom_mm_version'])


def export(deployed: Deployed, size: tuple[int, int], out: Path, notes: dict[str, str]) -> None:
    """Writes an ``.onnx`` or ``.pt2`` file whose batch size is free.

    Raises:
        ValueError: if this version of torch can't.
    """
    image = torch.zeros(2, 3, *size, dtype=torch.uint8)
    free = dict(image={0: torch.export.Dim('batch')})
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')
        if out.suffix == '.pt2':
            if _torch_version() < (2, 6):
                raise ValueError(f'torch {torch.__version__} cannot read back what its '
                                 'torch.export.save writes; take torch 2.6 or newer, or .onnx')
            try:
                program = torch.export.export(deployed, (image, ), dynamic_shapes=free)
            except RuntimeError as error:  # of torch's tracing: pages of text
                raise ValueError('torch.export cannot export this model with a free batch size: '
                                 f'{str(error).strip().splitlines()[0]}') from error
            torch.export.save(program, out, extra_files={'notes.json': json.dumps(notes)})
            return
        options: dict[str, Any] = dict(input_names=['image'], output_names=list(OUTPUTS))
        if _torch_version() >= (2, 9):  # from then on it is torch's default
            options.update(dynamo=True, dynamic_shapes=free, external_data=False, verbose=False)
        else:
            options['dynamic_axes'] = {name: {0: 'batch'} for name in ('image', *OUTPUTS)}
        torch.onnx.export(deployed, (image, ), str(out), **options)
    _annotate(out, notes)


def _torch_version() -> tuple[int, ...]:
    return tuple(int(part) for part in torch.__version__.split('.')[:2])


def _annotate(out: Path, notes: dict[str, str]) -> None:
    import onnx
    model = onnx.load(str(out))
    onnx.checker.check_model(model)
    onnx.helper.set_model_props(model, notes)
    onnx.save(model, str(out))


def load_exported(file: Path) -> Callable[[np.ndarray], list[np.ndarray]]:
    """An exported file as a function of uint8 ``[N, 3, H, W]`` to ``scores`` and ``logits``."""
    if file.suffix == '.pt2':
        program = torch.export.load(str(file)).module()
        return lambda image: [out.detach().numpy() for out in program(torch.from_numpy(image))]
    import onnxruntime
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    return lambda image: session.run(list(OUTPUTS), dict(image=image))


@torch.no_grad()
def largest_differences(found: InferenceModel, run: Callable, size: tuple[int, int],
                        rgb: bool) -> dict[str, float]:
    """Compares an exported file with the model, data preprocessor included, on random images.

    Args:
        found: the model.
        run: as of :func:`load_exported`.
        size: of the images.
        rgb: as of :class:`Deployed`.

    Returns:
        Of ``scores`` the largest absolute difference, of ``logits`` that over the largest absolute
        logit (or 1, if that is larger), over several batch sizes.
    """
    largest = dict.fromkeys(OUTPUTS, 0.0)
    generator = np.random.default_rng(0)
    for batch in _BATCHES:
        image = generator.integers(0, 256, (batch, 3, *size), dtype=np.uint8)
        loaded = image if rgb else image[:, ::-1].copy()
        data = found.model.data_preprocessor(dict(inputs=list(torch.from_numpy(loaded))))
        logits = found.model(data['inputs'], mode='tensor')
        scores = torch.stack([sample.pred_score
                              for sample in found.model(data['inputs'], mode='predict')])
        for name, got, want in zip(OUTPUTS, run(image), (scores, logits)):
            scale = max(1.0, float(want.abs().max())) if name == 'logits' else 1.0
            difference = float(np.abs(got - want.numpy()).max()) / scale
            largest[name] = max(largest[name], difference)
    return largest


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of ``tools/model/export.py``."""
    parser = argparse.ArgumentParser(
        description='Export a model, normalisation included, and compare the file with it. Input: '
        'image, uint8 [N, 3, H, W], RGB, after the resizing and cropping of the test pipeline. '
        'Outputs: scores (probabilities) and logits. N is free.')
    add_model_options(parser)
    parser.add_argument('out', help='OUT.onnx, or OUT.pt2 (torch.export)')
    parser.add_argument('--size', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'),
                        help='of the images (default: what the test pipeline gives)')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``tools/model/export.py``."""
    args = parse_args(argv)
    out = output_file(args.out, [args.config, args.checkpoint], ('.onnx', '.pt2'))
    if out.suffix == '.onnx':
        try:
            import onnx  # noqa: F401
            import onnxruntime  # noqa: F401
            import onnxscript  # noqa: F401
        except ImportError as error:
            raise SystemExit(f'{error}: pip install "rescom_mm[deploy]", or onnx onnxruntime '
                             'onnxscript') from error
    cfg, found = read_model(args)
    dataset = cfg.test_dataloader.dataset
    rgb = not loads_files(dataset.pipeline)
    try:
        size = tuple(args.size) if args.size else image_size(dataset.pipeline, dataset)
        deployed = Deployed(found.model, rgb).eval()
        with tempfile.TemporaryDirectory() as folder:  # what is wrong gets no good name
            file = Path(folder) / out.name
            export(deployed, size, file, metadata(found, size))
            largest = largest_differences(found, load_exported(file), size, rgb)
            if not max(largest.values()) <= TOLERANCE:
                raise ValueError(f'the exported model differs from the trained one by {largest}: '
                                 'it is not written; please report it with the config')
            out.write_bytes(file.read_bytes())
    except ValueError as error:
        raise SystemExit(str(error)) from error
    print(f'{out} ({out.stat().st_size / 2**20:.1f} MiB): image uint8 [N, 3, {size[0]}, {size[1]}] '
          f'RGB -> scores, logits; largest difference to the model: scores '
          f'{largest["scores"]:.1e}, logits {largest["logits"]:.1e}')
