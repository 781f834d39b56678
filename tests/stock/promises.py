"""What docs/reliability.md promises, and the tests that hold it.

``python -m tests.stock.promises`` writes the tables. What the stock parts do is the docstring of
the test that shows it.
"""

import ast
import functools
from pathlib import Path
from typing import NamedTuple

from rescom_mm.apis.compare import update_section

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs' / 'reliability.md'


class Promise(NamedTuple):
    """A row: tests as ``path.py::name`` below ``tests/``, those of stock parts below its folder."""

    text: str
    tests: list[str]
    stock: list[str]


SECTIONS = {
    'Distributed training': [
        Promise('The queue, its pointers and fill counts have the same bits on all ranks after '
                'every step, with ragged batches and ranks that lack a class, by one collective.',
                ['models/test_distributed.py::test_equal_on_all_ranks_and_to_one_process'],
                ['test_distributed.py::test_queue']),
        Promise('They stay so with hooks that average buffers, and in a whole training by two '
                'processes.', ['engine/test_two_processes.py::test_two_processes'],
                ['test_distributed.py::test_sync_buffers_hook']),
        Promise('Two processes with N images each train like one with 2N; in-batch pairs are each '
                'rank\'s own.',
                ['models/test_data_parallel.py::test_two_processes_train_like_one',
                 'models/test_data_parallel.py::test_in_batch_pairs_are_each_ranks_own'], []),
        Promise('Ranks that were given different lists are told so before training.',
                ['engine/test_resume.py::test_two_ranks'],
                ['test_distributed.py::test_other_lists']),
        Promise('Another number of processes at `--resume`: the epoch goes on in its order, and '
                'one line says what changes.',
                ['engine/test_resume.py::test_another_number_of_ranks'],
                ['test_resume.py::test_another_number_of_ranks']),
        Promise('A process that dies ends the others within 30 s; the message names it, and its '
                'code is returned.',
                ['apis/test_launch.py::test_a_rank_that_dies_ends_the_others',
                 'apis/test_stopping.py::test_dist_train'],
                ['test_signals.py::test_signal_to_one_rank']),
        Promise('No process outlives its launcher.', ['apis/test_launch.py::test_no_orphans'],
                ['test_signals.py::test_orphans']),
        Promise('A node that dies or vanishes from the network ends the others within a minute.',
                ['apis/test_launch.py::test_node_whose_launcher_dies',
                 'apis/test_launch.py::test_host_that_vanishes',
                 'apis/test_stopping.py::test_two_hosts'],
                ['test_signals.py::test_node_that_dies'])],
    'Exact resume': [
        Promise('Stopped inside an epoch and resumed: every later checkpoint is the same to the '
                'bit, weights, optimiser, schedulers, EMA, queue and logs.',
                ['engine/test_resume.py::test_inside_an_epoch',
                 'engine/test_resume.py::test_at_the_last_iteration_of_an_epoch'],
                ['test_resume.py::test_stop_inside_an_epoch']),
        Promise('The same at the end of an epoch; a validation that was due is made up for.',
                ['engine/test_resume.py::test_at_the_end_of_an_epoch'],
                ['test_resume.py::test_stop_at_the_end_of_an_epoch']),
        Promise('For any number of data loading workers, and whatever it was before; world sizes 1 '
                'and 2.', ['engine/test_resume.py::test_any_number_of_workers',
                           'datasets/test_seeded_dataset.py::test_workers_do_not_matter'],
                ['test_resume.py::test_number_of_workers']),
        Promise('Every sample of every epoch has draws of its own, with workers that are not '
                'persistent too.',
                ['datasets/test_seeded_dataset.py::test_each_sample_has_its_own_draws'],
                ['test_resume.py::test_augmentations_of_two_epochs']),
        Promise('Under gradient accumulation, bfloat16, MoCo, mixup, iteration-based loops, no '
                'seed, early stopping, `FlexibleRunner`, inside a validation; on 2 and 3 ranks.',
                ['engine/test_resume.py::test_variants',
                 'engine/test_resume.py::test_variants_on_two_ranks',
                 'engine/test_resume.py::test_three_ranks'],
                ['test_resume.py::test_variants'])],
    'Whole checkpoints and signals': [
        Promise('Killed at any moment, also while a checkpoint is written: `--resume` goes on from '
                'a whole one, and the final weights are those of a run without kills (20 kills).',
                ['engine/test_checkpoints.py::test_twenty_kills',
                 'engine/test_checkpoints.py::test_killed_runs_go_on_from_whole_checkpoints',
                 'engine/test_checkpoints.py::'
                 'test_older_checkpoint_goes_when_the_newer_one_is_whole'],
                ['test_checkpoints.py::test_death_while_writing']),
        Promise('Torn, damaged and foreign files are passed over with one warning each, for the '
                'newest whole one.', ['engine/test_checkpoints.py::test_newest_whole_checkpoint',
                                      'engine/test_checkpoints.py::test_resume_skips_a_torn_file'],
                ['test_checkpoints.py::test_damaged_file']),
        Promise('A full disk: the error says what is missing, and which checkpoint is whole.',
                ['engine/test_checkpoints.py::test_full_disk'],
                ['test_checkpoints.py::test_full_disk']),
        Promise('SIGTERM or SIGUSR1 to a process and its workers: a checkpoint within 30 s, exit '
                'code 75.', ['engine/test_stop_hook.py::test_whole_process_group_is_signalled',
                             'apis/test_stopping.py::test_one_process_and_its_workers'],
                ['test_signals.py::test_one_process']),
        Promise('The same to the launcher, which passes it on and returns 75.',
                ['apis/test_stopping.py::test_dist_train',
                 'apis/test_launch.py::test_signals_are_passed_on_and_75_returned'],
                ['test_signals.py::test_sigterm_to_torchrun',
                 'test_signals.py::test_sigusr1_to_torchrun',
                 'test_signals.py::test_sigterm_to_dist_train']),
        Promise('The same to any one rank: all write one checkpoint at the same iteration.',
                ['engine/test_stop_hook.py::test_one_rank_is_signalled',
                 'engine/test_stop_hook.py::test_one_rank_is_signalled_in_a_validation'],
                ['test_signals.py::test_signal_to_one_rank'])],
    'Bad data': [
        Promise('In the place of a training image that cannot be decoded comes another of its '
                'class, from a seeded draw; class frequencies stay, and a report names the files.',
                ['engine/test_bad_image_hook.py::test_two_percent_damaged',
                 'datasets/test_replacing_dataset.py::'
                 'test_draws_are_uniform_over_the_class_and_seeded'],
                ['test_data.py::test_training', 'test_data.py::test_ignore_empty']),
        Promise('More than 1 % of them, a class without a readable image, or `on_error=\'raise\'` '
                'ends the run with the names of the files.',
                ['engine/test_bad_image_hook.py::'
                 'test_the_default_limit_ends_the_run_with_the_report',
                 'engine/test_bad_image_hook.py::'
                 'test_a_class_without_a_readable_image_ends_the_run',
                 'engine/test_bad_image_hook.py::test_raise_stops_at_the_first'],
                ['test_data.py::test_damaged_image']),
        Promise('A truncated image is damaged, wherever it is cut.',
                ['datasets/transforms/test_load_image.py::test_cut_anywhere'],
                ['test_data.py::test_truncated_jpeg']),
        Promise('Every mode that Pillow turns into RGB is read.',
                ['datasets/transforms/test_load_image.py::test_every_mode_becomes_rgb',
                 'datasets/transforms/test_load_image.py::test_integers_and_floats'],
                ['test_data.py::test_modes']),
        Promise('In validation and test nothing is replaced: the run ends and names the file.',
                ['engine/test_bad_image_hook.py::test_validation_replaces_nothing'],
                ['test_data.py::test_validation']),
        Promise('What is wrong with a list file is said with its name and the number of the line; '
                'blank lines, CRLF, tabs, byte order marks and any UTF-8 name are handled.',
                ['datasets/test_list_file.py::test_errors_name_file_and_line',
                 'datasets/test_list_file.py::test_what_is_handled',
                 'datasets/test_list_file.py::test_malformed_lists_thoroughly'],
                ['test_data.py::test_lists']),
        Promise('An option of the wrong kind is an error that names it.',
                ['test_options.py::test_the_error_names_the_option_thoroughly'],
                ['test_options.py::test_wrong_kind'])],
    'Numbers that go wrong': [
        Promise('A loss or gradient that is not finite reaches neither weights, optimiser nor '
                'queue; the run ends in that iteration and names it, the loss and the samples.',
                ['engine/test_finite_hook.py::test_the_run_ends_and_nothing_is_spoilt',
                 'engine/test_finite_hook.py::test_gradients_of_a_finite_loss'],
                ['test_numbers.py::test_loss_that_is_not_finite',
                 'test_numbers.py::test_gradients_that_are_not_finite']),
        Promise('On one of two ranks: both end.',
                ['engine/test_finite_hook_distributed.py::test_both_ranks_end'],
                ['test_distributed.py::test_loss_of_one_rank_is_not_finite']),
        Promise('`max_skipped` such steps are skipped and change nothing.',
                ['engine/test_finite_hook.py::test_skipped_steps_change_nothing',
                 'engine/test_finite_hook_distributed.py::test_both_ranks_skip'], []),
        Promise('A full device: what of ours takes how many bytes, and which settings shrink it.',
                ['apis/test_memory.py::test_message'], ['test_numbers.py::test_full_device'])],
    'Nothing in a checkpoint is executed': [
        Promise('A pickle that calls something is refused, by our tools and, once the package is '
                'imported, by the stock ones; the config text in a checkpoint is not run.',
                ['test_safe_load.py::test_pickles_that_call_are_refused',
                 'test_safe_load.py::test_config_texts_are_set_aside',
                 'apis/test_untrusted_checkpoints.py::test_tools',
                 'apis/test_untrusted_checkpoints.py::test_stock_tools_in_a_process_of_their_own'],
                ['../apis/test_untrusted_checkpoints.py::test_what_mmengine_alone_executes'])],
}


@functools.cache
def functions(path):
    """Name -> docstring of the functions of a test file, on one line."""
    tree = ast.parse((ROOT / path).read_text(encoding='utf-8'))
    return {node.name: ' '.join((ast.get_docstring(node) or '').split())
            for node in tree.body if isinstance(node, ast.FunctionDef)}


def places(tests, folder):
    """Path below the repository, and function."""
    for test in tests:
        path, name = test.split('::')
        yield str((ROOT / folder / path).resolve().relative_to(ROOT)), name


def table(promises):
    lines = ['| promise | held by | stock parts in the same situation |', '| --- | --- | --- |']
    for promise in promises:
        held = '<br>'.join(f'`{path}::{name}`' for path, name in places(promise.tests, 'tests'))
        stock = '<br>'.join(f'{functions(path)[name]} `{path}::{name}`'
                            for path, name in places(promise.stock, 'tests/stock'))
        lines.append(f'| {promise.text} | {held} | {stock or "no counterpart"} |')
    return '\n'.join(lines)


def text():
    return '\n\n'.join(f'### {title}\n\n{table(promises)}' for title, promises in SECTIONS.items())


if __name__ == '__main__':
    update_section(PAGE, 'promises', f'\n{text()}\n')
