from __future__ import annotations

from mmengine.dataset import default_collate
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmpretrain.registry import HOOKS

from ...datasets.resident_dataset import ResidentDataset
from ...models import SiameseDataPreprocessor
from ...utils import check_options, unwrapped_model
from ...utils.loader import rebuild_loader, set_loader


@HOOKS.register_module()
@check_options
class ResidentDataHook(Hook):
    """Puts the training set on the device, for data sets of small images.

    It reads the training dataset once, wrappers included, and hands the images to the model's
    ``SiameseDataPreprocessor``, whose ``augment`` makes the views; batches then consist of indices,
    and no data loading worker is needed. Each process holds all images (CIFAR-100-LT: 33 MB), those
    that a wrapper repeats as often. An image that can't be decoded ends the run at the start.

    Raises:
        ValueError: before training, if the pipeline draws random numbers or gives no uint8
            images of one size, or for another data preprocessor.
    """

    # after ResumeHook, before what wraps datasets else
    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._dataset: ResidentDataset | None = None

    def before_run(self, runner: Runner) -> None:
        if not isinstance(runner._train_loop, BaseLoop) or self._dataset is not None:
            return  # a test or validation alone, or a second call
        self._preprocessor(runner)
        loader = runner.train_dataloader
        self._dataset = ResidentDataset(loader.dataset)
        set_loader(runner.train_loop, rebuild_loader(
            loader, dataset=self._dataset, collate_fn=default_collate, num_workers=0, timeout=0,
            persistent_workers=False, prefetch_factor=None, multiprocessing_context=None,
            pin_memory=False))

    def before_train(self, runner: Runner) -> None:
        # by now the model is on its device, and EMAHook has copied it
        if self._dataset is not None:
            self._preprocessor(runner).hold(self._dataset.images, self._dataset.samples)

    @staticmethod
    def _preprocessor(runner: Runner) -> SiameseDataPreprocessor:
        model = unwrapped_model(runner)
        if not isinstance(model.data_preprocessor, SiameseDataPreprocessor):
            raise ValueError(
                f'ResidentDataHook: the data preprocessor is a '
                f'{type(model.data_preprocessor).__name__}, which cannot hold a data set; set '
                "data_preprocessor.type='SiameseDataPreprocessor'")
        return model.data_preprocessor
