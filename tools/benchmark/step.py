"""Time of a whole training step: ResCom beside the same two views with SiamBS alone.

A third one, SiamBS with a projector that serves nothing, tells the projector's share. Steps are
those of training: preprocessing, one pass over both views, losses, gradients, optimiser, queue.
"""

import rescom_mm  # noqa: F401  first: it readies the OpenMMLab stack  # isort: skip

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from measure import alternate, parser, ratio, save, shown, start, summary
from workload import PROJECTOR, SIAMBS, read_config, training_step


class Case(NamedTuple):
    """A config at a size of images."""

    config: str
    px: int
    images: int


CPU = [Case('rescom_r50_imagenet-lt', 64, 32), Case('rescom_rx50_imagenet-lt', 32, 32),
       Case('rescom_r32_cifar100-lt-if100', 32, 128)]
GPU = [Case('rescom_r50_imagenet-lt', 224, 32), Case('rescom_rx50_imagenet-lt', 224, 32),
       Case('rescom_r32_cifar100-lt-if100', 32, 128)]
BF16: dict[str, Any] = {'optim_wrapper.type': 'BFloat16OptimWrapper'}
CHANNELS_LAST: dict[str, Any] = {'model.data_preprocessor.channels_last': True}
SWITCHES: dict[str, dict[str, Any]] = {
    'plain': {}, 'channels_last': CHANNELS_LAST, 'bf16': BF16,
    'channels_last and bf16': {**CHANNELS_LAST, **BF16}}


def methods(case: Case, rounds: int, device: torch.device) -> dict[str, Any]:
    """ResCom, SiamBS, and SiamBS with a projector; in bf16 on a GPU."""
    options = BF16 if device.type == 'cuda' else {}
    steps = {name: training_step(read_config(case.config, {**options, **parts}), case.px,
                                 case.images, device)
             for name, parts in (('rescom', {}), ('siambs', SIAMBS), ('projector', PROJECTOR))}
    seconds = alternate(steps, rounds, device)
    ratios = dict(over_siambs=ratio(seconds, 'rescom', 'siambs'),
                  projector_over_siambs=ratio(seconds, 'projector', 'siambs'),
                  over_projector=ratio(seconds, 'rescom', 'projector'))
    print(f'{case.config}, {case.px} px, 2 x {case.images} views{", bf16" * bool(options)}: '
          f'{shown(summary(seconds["rescom"]), 1e3, 0)} ms, '
          f'{shown(ratios["over_siambs"], digits=3)} x SiamBS alone (with a projector that serves '
          f'nothing {shown(ratios["projector_over_siambs"], digits=3)} x)', flush=True)
    return dict(case=case._asdict(), bf16=bool(options), pairs=rounds, **ratios,
                seconds={name: summary(values) for name, values in seconds.items()})


def switches(case: Case, rounds: int, device: torch.device) -> dict[str, Any]:
    """ResCom with the switches of the config that change how it is computed."""
    seconds = alternate({
        name: training_step(read_config(case.config, options), case.px, case.images, device)
        for name, options in SWITCHES.items()}, rounds, device)
    gains = {name: ratio(seconds, 'plain', name) for name in SWITCHES if name != 'plain'}
    for name, gain in gains.items():
        print(f'{case.config} with {name}: {shown(gain)} x as fast', flush=True)
    return dict(case=case._asdict(), pairs=rounds, gains=gains,
                seconds={name: summary(values) for name, values in seconds.items()})


def main(argv: Sequence[str] | None = None) -> None:
    """Measures all cases."""
    args = parser(__doc__ or '', 'step').parse_args(argv)
    device = start(args)
    cases = GPU if device.type == 'cuda' else CPU
    rows = [methods(case, args.rounds, device) for case in cases]
    save(args, rows, switches=[switches(cases[-1], args.rounds, device)])


if __name__ == '__main__':
    main()
