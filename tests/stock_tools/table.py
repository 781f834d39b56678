"""What docs/stock_tools.md and docs/troubleshooting.md say, and the tests that hold it.

``python -m tests.stock_tools.table`` writes both. The commands are those that the tests run. What a
tool cannot do, and the way round, is the docstring of the test that shows both.
"""

from typing import NamedTuple

from rescom_mm.apis.compare import update_section
from tests.runs import ROOT
from tests.stock.promises import functions

PAGE = ROOT / 'docs' / 'stock_tools.md'
TROUBLES_PAGE = ROOT / 'docs' / 'troubleshooting.md'
FIND_TOOLS = ("TOOLS=$(python -c \"from importlib.util import find_spec as find; "
              "print(find('mmpretrain').submodule_search_locations[0])\")/.mim/tools")

WITH_RESCOM = """with_rescom() { python -c 'import rescom_mm, runpy, sys; sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")' "$@"; }"""


class Tool(NamedTuple):
    """A row: tests are functions of the files of this folder, as ``file::name``."""

    name: str
    command: str
    tests: list[str]
    ways_round: list[str] = []
    state: str = 'works'


WAY_ROUND = 'way round'
MIM = 'openmim 0.3.9: works; onedl-mim 0.5.1: way round'
TOOLS = [
    Tool('train.py', 'python $TOOLS/train.py $CONFIG', ['test_works.py::test_train_and_test'],
         ['test_ways_round.py::test_no_workers']),
    Tool('test.py', 'python $TOOLS/test.py $CONFIG $CHECKPOINT --out predictions.pkl',
         ['test_works.py::test_train_and_test']),
    Tool('dist_test.sh', 'bash $TOOLS/dist_test.sh $CONFIG $CHECKPOINT $GPUS',
         ['test_ways_round.py::test_distributed_without_gpus'],
         ['test_ways_round.py::test_distributed_without_gpus'], WAY_ROUND),
    Tool('analysis_tools/analyze_results.py', 'python $TOOLS/analysis_tools/analyze_results.py '
         '$CONFIG predictions.pkl --out-dir surest', ['test_works.py::test_analyze_results']),
    Tool('analysis_tools/confusion_matrix.py', 'python $TOOLS/analysis_tools/confusion_matrix.py '
         '$CONFIG predictions.pkl --out confusion.pkl --show-path confusion.png',
         ['test_works.py::test_confusion_matrix',
          'test_works.py::test_confusion_matrix_of_a_checkpoint']),
    Tool('analysis_tools/eval_metric.py', 'python $TOOLS/analysis_tools/eval_metric.py '
         'predictions.pkl --metric type=Accuracy topk=1,5', ['test_works.py::test_eval_metric'],
         ['test_ways_round.py::test_metrics_of_this_package']),
    Tool('analysis_tools/get_flops.py', 'python $TOOLS/analysis_tools/get_flops.py $CONFIG '
         '--shape 8 8', ['test_works.py::test_get_flops'],
         ['test_ways_round.py::test_name_of_a_config']),
    Tool('analysis_tools/analyze_logs.py', 'python $TOOLS/analysis_tools/analyze_logs.py '
         'plot_curve $LOG --keys loss --out curve.png', ['test_works.py::test_analyze_logs']),
    Tool('visualization/browse_dataset.py', 'python $TOOLS/visualization/browse_dataset.py '
         '$CONFIG --not-show --output-dir browse --show-number 2',
         ['test_works.py::test_browse_dataset', 'test_works.py::test_browse_dataset_modes']),
    Tool('visualization/vis_tsne.py', 'python $TOOLS/visualization/vis_tsne.py $CONFIG '
         '--checkpoint $CHECKPOINT --work-dir tsne', ['test_works.py::test_vis_tsne'],
         ['test_ways_round.py::test_tsne_of_new_scikit_learn']),
    Tool('visualization/vis_scheduler.py', 'python $TOOLS/visualization/vis_scheduler.py $CONFIG '
         '--not-show --save-path schedule.png',
         ['test_works.py::test_vis_scheduler', 'test_works.py::test_vis_scheduler_without_data']),
    Tool('visualization/vis_cam.py', 'python $TOOLS/visualization/vis_cam.py seven.png $CONFIG '
         '$CHECKPOINT --save-path cam.png', ['test_ways_round.py::test_cam_of_an_image_file'],
         ['test_ways_round.py::test_cam_without_grad_cam',
          'test_ways_round.py::test_cam_of_new_grad_cam',
          'test_ways_round.py::test_cam_of_an_image_file'], WAY_ROUND),
    Tool('misc/print_config.py', 'python $TOOLS/misc/print_config.py $CONFIG',
         ['test_works.py::test_print_config']),
    Tool('misc/verify_dataset.py', 'python $TOOLS/misc/verify_dataset.py $CONFIG --out-path '
         'broken.txt --cfg-options train_dataloader.dataset.pipeline.0.type=LoadImageFromFile',
         ['test_ways_round.py::test_verify_dataset'], ['test_ways_round.py::test_verify_dataset'],
         WAY_ROUND),
    Tool('model_converters/publish_model.py', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 python '
         '$TOOLS/model_converters/publish_model.py $CHECKPOINT published.pth',
         ['test_ways_round.py::test_publish'], ['test_ways_round.py::test_publish'], WAY_ROUND),
    Tool('mim train', 'mim train rescom_mm rescom_tiny_digits-lt.py --gpus 0',
         ['test_mim.py::test_openmim'], ['test_mim.py::test_onedl_mim'], MIM),
    Tool('mim test', 'mim test rescom_mm rescom_tiny_digits-lt.py --checkpoint $CHECKPOINT '
         '--gpus 0', ['test_mim.py::test_openmim', 'test_mim.py::test_onedl_mim'], [], MIM),
    Tool('mim search', 'mim search rescom_mm --model rescom --field epochs training_data',
         ['test_mim.py::test_openmim', 'test_mim.py::test_onedl_mim'], [], MIM),
    Tool('mmpretrain.list_models', "list_models('rescom*')", ['test_models.py::test_list_models']),
    Tool('mmpretrain.get_model', "get_model('rescom_tiny_digits-lt', pretrained=CHECKPOINT)",
         ['test_models.py::test_get_model']),
    Tool('mmpretrain.ImageClassificationInferencer', "ImageClassificationInferencer("
         "'rescom_tiny_digits-lt', pretrained=CHECKPOINT)('seven.png')",
         ['test_models.py::test_inferencer']),
    Tool('mmpretrain.inference_model',
         "inference_model('rescom_tiny_digits-lt', 'seven.png', pretrained=CHECKPOINT)",
         ['test_models.py::test_inferencer'])]
COMMANDS = {tool.name: tool.command for tool in TOOLS}


class Trouble(NamedTuple):
    """What is seen, what it comes from, what to do, and the test that shows the first and last."""

    symptom: str
    cause: str
    cure: str
    test: str


TROUBLES = {
    'nms': Trouble(
        'operator torchvision::nms does not exist',
        'torchvision from PyPI beside a CPU-only torch. Importing rescom_mm mends it, but some '
        'stock tools import torchvision before they read the config.',
        'Install torch and torchvision from the same index; or type with_rescom in the place of '
        'python, see [stock_tools.md](stock_tools.md).',
        'test_ways_round.py::test_torchvision'),
    'workers': Trouble(
        'persistent_workers option needs num_workers > 0',
        'mmpretrain\'s train.py asks for persistent workers whether there are workers or not.',
        '`--no-persistent-workers`, or `persistent_workers=False` beside `num_workers=0`; our '
        'tools/train.py sees to it.', 'test_ways_round.py::test_no_workers'),
    'no CUDA': Trouble(
        "module 'torch._C' has no attribute '_cuda_setDevice'",
        'mmengine\'s launch of several processes asks for CUDA devices.',
        'Without GPUs: tools/dist_train.sh and tools/dist_test.sh of this package.',
        'test_ways_round.py::test_distributed_without_gpus'),
    'metric': Trouble(
        'ShotAccuracy is not in the mmpretrain::metric registry',
        'eval_metric.py takes no config, so nothing imports rescom_mm.',
        'test.py with the config prints it; for saved predictions type with_rescom in the place '
        'of python, see [stock_tools.md](stock_tools.md).',
        'test_ways_round.py::test_metrics_of_this_package'),
    'name': Trouble(
        'Failed to find model "rescom_',
        'The tool does not import rescom_mm, which makes the names known.',
        'The path of the config file; or with_rescom in the place of python, see '
        '[stock_tools.md](stock_tools.md).', 'test_ways_round.py::test_name_of_a_config'),
    'publish': Trouble(
        'Unsupported global: GLOBAL mmengine.logging.history_buffer.HistoryBuffer',
        'publish_model.py gives the checkpoint to torch.load, which since torch 2.6 reads weights '
        'alone.', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1, for your own checkpoints only.',
        'test_ways_round.py::test_publish'),
    'no grad-cam': Trouble(
        'Please run `pip install "grad-cam', 'vis_cam.py needs grad-cam.',
        '`pip install -e ".[tools]"`; with the original stack `pip install "grad-cam<1.5"`.',
        'test_ways_round.py::test_cam_without_grad_cam'),
    'use_cuda': Trouble(
        "unexpected keyword argument 'use_cuda'",
        'vis_cam.py of mmpretrain 1.2.0 is for older versions of grad-cam.',
        '`pip install "grad-cam<1.5"`', 'test_ways_round.py::test_cam_of_new_grad_cam'),
    'inputs': Trouble(
        "KeyError: 'inputs'",
        'vis_cam.py gives the test pipeline a path; the images of Digits-LT and CIFAR lie in '
        'memory, so their pipelines load none.',
        'A config that begins with LoadImage, see [stock_tools.md](stock_tools.md).',
        'test_ways_round.py::test_cam_of_an_image_file'),
    'n_iter': Trouble(
        "unexpected keyword argument 'n_iter'",
        'vis_tsne.py of mmpretrain 1.2.0 uses a name that scikit-learn 1.7 has dropped.',
        '`pip install "scikit-learn<1.7"`', 'test_ways_round.py::test_tsne_of_new_scikit_learn'),
    'verify': Trouble(
        'This tool is only for datasets needs to load image from files',
        'verify_dataset.py looks for LoadImageFromFile in the pipeline; ours have LoadImage.',
        '`--cfg-options train_dataloader.dataset.pipeline.0.type=LoadImageFromFile`',
        'test_ways_round.py::test_verify_dataset'),
    'mim': Trouble(
        'please upgrade your rescom_mm to support search command',
        'onedl-mim takes the first file that pip has recorded for a package for its folder.',
        'mim of the editable checkout, or `mim train onedl-mmpretrain CONFIG_FILE`, see '
        '[stock_tools.md](stock_tools.md).', 'test_mim.py::test_onedl_mim')}


def folder_of(test):
    """File below the repository, and function."""
    file, name = test.split('::')
    return f'tests/stock_tools/{file}', name


def table():
    lines = ['| tool | | command | to know | held by |', '| --- | --- | --- | --- | --- |']
    for tool in TOOLS:
        known = [functions(file)[name] for file, name in map(folder_of, tool.ways_round)]
        held = '<br>'.join(f'`{test}`' for test in dict.fromkeys(tool.tests + tool.ways_round))
        lines.append(f'| `{tool.name}` | {tool.state} | `{tool.command}` | {"<br>".join(known)} | '
                     f'{held} |')
    return '\n'.join(lines)


def troubles():
    lines = ['| symptom | cause | way round |', '| --- | --- | --- |']
    lines += [f'| ``{row.symptom}`` | {row.cause} | {row.cure} |' for row in TROUBLES.values()]
    return '\n'.join(lines)


if __name__ == '__main__':
    update_section(PAGE, 'tools', f'\n{table()}\n')
    update_section(TROUBLES_PAGE, 'troubles', f'\n{troubles()}\n')
