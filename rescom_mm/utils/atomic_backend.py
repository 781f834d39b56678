"""Files that are whole or not there."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

ATOMIC = 'rescom_atomic'
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_PARTIAL = '.partial'
# what file systems answer that cannot sync a folder
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


class DiskFullError(OSError):
    """A file could not be written for want of space; says how much."""


@register_backend(ATOMIC, force=True)
class AtomicLocalBackend(LocalBackend):
    """mmengine's local file backend, but a file under its name is always a whole one.

    Content goes into a file beside, ``NAME.PID.partial``, which is flushed to the disk and then
    renamed. Whenever the process or the machine dies, the name leads to the new content or to the
    old one. Chosen with ``backend_args=dict(backend='rescom_atomic')``.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes a file.

        Raises:
            OSError: if it can't be written; what was there under the name before still is.
            DiskFullError: if that is for want of space.
        """
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f'{path.name}.{os.getpid()}{_PARTIAL}')
        try:
            self._write(obj, partial)
            os.replace(partial, path)
        except BaseException as error:
            partial.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in _NO_SPACE:
                free = shutil.disk_usage(path.parent).free
                raise DiskFullError(
                    error.errno, f'{path} cannot be written, the disk or quota is full: {len(obj)} '
                    f'bytes needed, {free} free') from None
            raise
        _sync_folder(path.parent)

    @staticmethod
    def _write(obj: bytes, path: Path) -> None:
        with open(path, 'wb') as file:
            file.write(obj)
            file.flush()
            os.fsync(file.fileno())

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Writes a text file, as :meth:`put` does."""
        self.put(obj.encode(encoding), filepath)


def remove_partial_files(folder: str | Path) -> None:
    """Removes what killed writers have left in a folder; no other may be at work in it."""
    for path in Path(folder).glob(f'*.*{_PARTIAL}'):
        if path.name.split('.')[-2].isdigit():
            path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Brings a renaming to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)
