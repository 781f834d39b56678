from __future__ import annotations

from pathlib import Path


def project_folder() -> Path:
    """Where ``configs/`` and ``tools/`` are: the checkout, or ``.mim`` of an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    installed = package / '.mim'
    return installed if installed.is_dir() else package.parent
