"""The commands of docs/stock_tools.md in a shell, and environments with further packages."""

import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.runs import ROOT, SITECUSTOMIZE, TINY
from tests.stock_tools.table import COMMANDS, FIND_TOOLS, WITH_RESCOM

#: whether this is the maintained stack
ONEDL = any(importlib.metadata.distributions(name='onedl-mmpretrain'))


def type_in(folder, command, python=sys.executable, check=True, pythonpath=None, **variables):
    """Runs a command of bash in a folder, as a user would; what it says, and its exit code.

    On the Python path are this checkout and what lets torchvision be imported beside a torch that
    does not fit. (A user has installed the one, and has no need of the other.)
    """
    (folder / 'sitecustomize.py').write_text(SITECUSTOMIZE)
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'CONFIG': str(TINY),
           'PATH': f'{Path(python).parent}:{os.environ["PATH"]}',
           'PYTHONPATH': f'{folder}:{ROOT}' if pythonpath is None else str(pythonpath),
           **{name: str(value) for name, value in variables.items()}}
    done = subprocess.run(['bash', '-c', f'{FIND_TOOLS}\n{WITH_RESCOM}\n{command}'], cwd=folder,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env,
                          timeout=600)
    if check and done.returncode:
        raise AssertionError(f'{command} ended with {done.returncode}:\n{done.stdout[-4000:]}')
    return done.stdout, done.returncode


def tool(name, folder, more='', **options):
    """Runs a tool by the command of the page; ``more`` stands behind it."""
    return type_in(folder, f'{COMMANDS[name]} {more}', **options)


def figure(said, name):
    """A value of a dictionary that was printed."""
    return float(re.search(rf"'{name}':\s+([\d.]+)", said)[1])


def environment(folder, *packages, dependencies=False):
    """A Python that has these packages, and for all else those of this one."""
    subprocess.run([sys.executable, '-m', 'venv', folder], check=True)
    site = next(folder.glob('lib/python*/site-packages'))
    paths = sysconfig.get_paths()
    # what .pth files of those folders add is not added: no editable install
    (site / 'others.pth').write_text(f'{paths["purelib"]}\n{paths["platlib"]}\n')
    install(folder, *packages, dependencies=dependencies)
    return folder / 'bin' / 'python'


def install(folder, *packages, dependencies=False):
    command = [folder / 'bin' / 'python', '-m', 'pip', 'install', '-q',
               *(['--no-deps'] * (not dependencies)), *map(str, packages)]
    # no checkout in sight, which pip would take for installed
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, 'PYTHONPATH': ''})
