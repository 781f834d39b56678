"""Time of inference: a trained ``SiameseClassifier`` beside the stock ``ImageClassifier``.

Both have the same backbone, neck, head and weights; ``val_step`` goes from uint8 images to
predictions. Before it is timed, both must predict the same.
"""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip

from collections.abc import Callable, Sequence
from typing import Any

import torch
from measure import alternate, parser, ratio, save, shown, start, summary
from mmpretrain.registry import MODELS
from workload import read_config, two_views

CONFIGS = ['rescom_r50_imagenet-lt', 'rescom_r32_cifar100-lt-if100']
BATCHES = [1, 64]


def pair(config: str, px: int, images: int,
         device: torch.device) -> dict[str, Callable[[], list[Any]]]:
    """Both models' prediction of one batch.

    Args:
        config: of ``configs/rescom``.
        px: side of the images.
        images: of a batch.
        device: where to.
    """
    cfg = read_config(config, {})
    torch.manual_seed(0)
    mine: Any = MODELS.build(cfg.model)
    mine.init_weights()
    parts = {name: cfg.model[name] for name in ('backbone', 'neck')}
    head = {**cfg.model.head, 'loss': dict(type='CrossEntropyLoss')}
    stock: Any = MODELS.build(dict(type='ImageClassifier', **parts, head=head,
                                   data_preprocessor=dict(cfg.data_preprocessor)))
    stock.load_state_dict({key: value for key, value in mine.state_dict().items()
                           if key in stock.state_dict()})  # strict: all are there
    two = two_views(images, px, cfg.model.head.num_classes)
    batch = dict(inputs=two['inputs'][0], data_samples=two['data_samples'])

    def predict(model: Any) -> Callable[[], list[Any]]:
        model = model.to(device).eval()

        @torch.no_grad()
        def step() -> list[Any]:
            found: list[Any] = model.val_step(dict(batch))
            return found

        return step

    steps = dict(rescom=predict(mine), stock=predict(stock))
    for one, other in zip(steps['rescom'](), steps['stock']()):
        torch.testing.assert_close(one.pred_score, other.pred_score)
    return steps


def main(argv: Sequence[str] | None = None) -> None:
    """Measures both models at both batch sizes."""
    args = parser(__doc__ or '', 'inference').parse_args(argv)
    device, rows = start(args), []
    for config in CONFIGS:
        px = 32 if 'cifar' in config else 224 if device.type == 'cuda' else 64
        for images in BATCHES:
            seconds = alternate(pair(config, px, images, device),
                                args.rounds * (10 if images == 1 else 1), device)
            over = ratio(seconds, 'rescom', 'stock')
            rows.append(dict(
                case=dict(config=config, px=px, images=images), over_stock=over,
                seconds={name: summary(values) for name, values in seconds.items()},
                images_per_second=images / summary(seconds['rescom'])['median']))
            print(f'{config}, {px} px, batch of {images}: '
                  f'{shown(summary(seconds["rescom"]), 1e3)} ms, '
                  f'{shown(over, digits=3)} x the stock classifier', flush=True)
    save(args, rows)


if __name__ == '__main__':
    main()
