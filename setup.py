"""Packaging of rescom_mm. Exact tested versions stand in requirements/tested*.txt."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
DEPLOY = ['onnx', 'onnxruntime', 'onnxscript']
version: dict = {}
exec((HERE / 'rescom_mm' / 'version.py').read_text(), version)


class BuildWithConfigsAndTools(build_py):
    """Puts what `mim` looks for into the wheel; an editable install stays the checkout."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / 'rescom_mm' / '.mim'
        shutil.rmtree(target, ignore_errors=True)  # of an earlier build
        for folder in ('configs', 'tools'):
            shutil.copytree(HERE / folder, target / folder,
                            ignore=shutil.ignore_patterns('__pycache__', '.*'))
        for index in HERE.glob('model-index.yml'):
            shutil.copy2(index, target)


setup(
    name='rescom_mm',
    version=version['__version__'],
    description='ResCom for long-tailed images, as OpenMMLab registry modules',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['rescom_mm', 'rescom_mm.*']),
    package_data={'rescom_mm': ['py.typed']},
    cmdclass={'build_py': BuildWithConfigsAndTools},
    python_requires='>=3.10,<3.13',
    install_requires=[
        'torch>=2.4,<2.14',
        'torchvision>=0.19,<0.29',
        'numpy',
        'matplotlib<3.11',  # newer ones break mmpretrain's browse_dataset.py
        'scikit-learn',
        'scipy',
    ],
    extras_require={
        # the maintained stack; never together with the other one
        'onedl': ['onedl-mmengine>=0.10.12', 'onedl-mmcv>=2.3.6', 'onedl-mmpretrain>=1.3.6'],
        # the original stack; its mmengine needs pkg_resources
        'openmmlab': ['mmengine>=0.10.7', 'mmcv-lite>=2.2.0', 'mmpretrain>=1.2.0',
                      'setuptools<82'],
        # tools/model/export.py
        'deploy': DEPLOY,
        # what mmpretrain's own tools need besides
        'tools': ['grad-cam'],
        'tests': ['pytest', 'pytest-xdist', 'hypothesis', 'ruff', 'mypy', 'build',
                  *DEPLOY],
    },
)
