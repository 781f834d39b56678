"""What is around the code: version, citation, templates, and the wheel, built and used."""

import hashlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from rescom_mm import __version__
from rescom_mm.utils import project_folder
from tests.installed import PAGE, RUN, STEPS, USE, Shell
from tests.runs import ROOT

FORMS = sorted((ROOT / '.github' / 'ISSUE_TEMPLATE').glob('*.yml'))


def read(name):
    return (ROOT / name).read_text(encoding='utf-8')


def test_version_stands_in_one_place():
    assert yaml.safe_load(read('CITATION.cff'))['version'] == __version__
    assert re.search(r'^## (\S+)', read('CHANGELOG.md'), re.M)[1] == __version__
    assert __version__ not in read('setup.py') + read('pyproject.toml')


def test_citation():
    """The fields that the format's version 1.2.0 requires."""
    cited = yaml.safe_load(read('CITATION.cff'))
    assert cited['cff-version'] == '1.2.0' and cited['license'] == 'Apache-2.0'
    assert cited['message'] and cited['title'] == 'rescom_mm' and cited['authors'][0]['name']
    paper = cited['preferred-citation']
    assert paper['type'] == 'article' and '2203.11506' in paper['url']
    names = [f'{author["given-names"]} {author["family-names"]}' for author in paper['authors']]
    assert names == ['Zhisheng Zhong', 'Jiequan Cui', 'Zeming Li', 'Eric Lo', 'Jian Sun',
                     'Jiaya Jia']


@pytest.mark.parametrize('file', FORMS, ids=lambda file: file.stem)
def test_issue_forms(file):
    """As GitHub reads them; it shows no form that it cannot."""
    form = yaml.safe_load(file.read_text())
    assert form['name'] and form['description']
    fields = [field for field in form['body'] if field['type'] != 'markdown']
    assert len({field['id'] for field in fields}) == len(fields) > 0
    for field in form['body']:
        assert field['type'] in ('markdown', 'textarea', 'input', 'dropdown', 'checkboxes')
        assert field['attributes']['value' if field['type'] == 'markdown' else 'label']


def test_pre_commit_runs_what_ci_runs():
    hooks = [hook for repo in yaml.safe_load(read('.pre-commit-config.yaml'))['repos']
             for hook in repo['hooks']]
    assert {hook['id'] for hook in hooks} == {'ruff', 'mypy', 'shell'}
    for command in ('ruff check', 'mypy', 'bash -n'):
        assert re.search(rf'^{command}', read('.ci/run'), re.M)
        assert any(command in hook['entry'] for hook in hooks)


def test_contributing_names_what_is_there():
    page = read('CONTRIBUTING.md')
    links = [link for link in re.findall(r'\]\(([^)#]+)\)', page) if '://' not in link]
    paths = re.findall(r'`((?:rescom_mm|tests|configs|docs|tools|requirements|\.ci)/[\w./-]+)`',
                       page)
    assert len(paths) > 10
    for path in links + paths:
        assert (ROOT / path).exists() or 'my_' in path, path


def test_page_is_generated_and_names_no_machine():
    page = PAGE.read_text(encoding='utf-8')
    for step in STEPS:
        assert f'\n{step.command}\n' in page, 'python -m tests.installed'
    assert not re.search(r'/(tmp|opt|home|root|work|usr|var|mnt)/|://', page)


def test_project_folder_of_a_checkout():
    assert project_folder() == ROOT


def build(*argv):
    done = subprocess.run([sys.executable, '-m', 'build', *map(str, argv)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-4000:]


def not_of_the_project(folder, names):
    """What building, testing or training left in a checkout."""
    kept = ('.ci', '.github', '.gitignore', '.pre-commit-config.yaml')
    top = ('data', 'work_dirs', 'build', 'dist') if Path(folder) == ROOT else ()
    return {name for name in names if name in top or name == '__pycache__'
            or name.endswith('.egg-info') or (name.startswith('.') and name not in kept)}


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """sdist, its wheel, and the wheel of the same files without an sdist.

    Of a copy: setuptools writes into the tree that it builds, and pytest's processes all build.
    """
    folder = tmp_path_factory.mktemp('built')
    tree = shutil.copytree(ROOT, folder / 'tree', ignore=not_of_the_project)
    build('--outdir', folder, tree)
    sdist, = folder.glob('*.tar.gz')
    wheel, = folder.glob('*.whl')
    with tarfile.open(sdist) as parts:
        parts.extractall(folder, filter='data')
    build('--wheel', '--outdir', folder / 'direct', folder / sdist.name.removesuffix('.tar.gz'))
    return sdist, wheel, next((folder / 'direct').glob('*.whl'))


def digests(wheel):
    with zipfile.ZipFile(wheel) as parts:
        return {part.filename: hashlib.sha256(parts.read(part)).hexdigest()
                for part in parts.infolist()}


@pytest.mark.slow
def test_wheel_and_sdist_hold_the_checkout(built):
    sdist, wheel, again = built
    assert sdist.name == f'rescom_mm-{__version__}.tar.gz' and digests(wheel) == digests(again)
    inside = digests(wheel)
    wanted = {}
    for folder, prefix in (('rescom_mm', ''), ('configs', 'rescom_mm/.mim/'),
                           ('tools', 'rescom_mm/.mim/')):
        for file in (ROOT / folder).rglob('*'):
            if file.is_file() and '__pycache__' not in file.parts:
                wanted[prefix + str(file.relative_to(ROOT))] = file
    wanted.update({f'rescom_mm/.mim/{file.name}': file for file in ROOT.glob('model-index.yml')})
    for name, file in wanted.items():
        assert inside[name] == hashlib.sha256(file.read_bytes()).hexdigest(), name
    others = {name for name in inside if name not in wanted}
    assert all(name.startswith(f'rescom_mm-{__version__}.dist-info/') for name in others), others
    assert any(name.endswith('LICENSE') for name in others)
    with zipfile.ZipFile(wheel) as parts:
        scripts = [part for part in parts.infolist() if part.filename.endswith('.sh')]
        assert len(scripts) >= 6 and all(part.external_attr >> 16 & 0o111 for part in scripts)
    with tarfile.open(sdist) as parts:
        names = {name.partition('/')[2] for name in parts.getnames()}
    assert {'CITATION.cff', 'CONTRIBUTING.md', 'requirements/tested.txt', 'tests/runs.py',
            'docs/results/published.csv', 'LICENSE'} <= names


@pytest.fixture
def shell(built, tmp_path):
    """In an environment that has the wheel, and all else from this one's packages."""
    subprocess.run([sys.executable, '-m', 'venv', tmp_path / 'fresh'], check=True)
    site = next((tmp_path / 'fresh').glob('lib/python*/site-packages'))
    paths = sysconfig.get_paths()
    # what .pth files of those folders add is not added: no editable install
    (site / 'others.pth').write_text(f'{paths["purelib"]}\n{paths["platlib"]}\n')
    session = Shell(tmp_path)
    session.run('. fresh/bin/activate')
    session.run(f'pip install -q --no-deps {built[1]}')
    yield session
    session.close()


@pytest.mark.slow
def test_wheel_is_used_elsewhere(shell, tmp_path):
    """The commands of docs/installed.md, one epoch; and two processes."""
    short = '--cfg-options train_cfg.max_epochs=1 default_hooks.checkpoint.interval=1'
    where, quick_start, *later = USE
    shell.run(where.command)
    folder = tmp_path / 'elsewhere'
    *_, train, others = shell.run("python -c 'import mmpretrain, rescom_mm.apis.compare as compare;"
                                  " print(compare.TRAIN); print(mmpretrain.__path__[0])'")
    assert Path(train) == Path(shell.run('echo $SITE')[-1]) / 'rescom_mm/.mim/tools/train.py'
    shell.run(f'{quick_start.command} {short}')
    assert (folder / 'work_dirs' / RUN / 'results.png').is_file()
    for step in later:
        # this environment's mmpretrain is not in the fresh one's folder
        said = shell.run(step.command.replace('$SITE/mmpretrain', others))
        assert re.search(r'shot/all: \d|^\d, probability 0\.\d', said[-1]), said
    shell.run(f'$SITE/rescom_mm/.mim/tools/dist_train.sh $CONFIG 2 --work-dir two {short}')
    assert (folder / 'two' / 'epoch_1.pth').is_file()
