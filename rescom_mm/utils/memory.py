from __future__ import annotations

import numpy as np

_LARGEST = 31 << 20  # bytes; above 32 MiB the C library takes no notice


def keep_freed_memory() -> None:
    """Lets the C library keep the memory of freed arrays, up to 64 MB, for the next ones.

    Linux's (glibc) gives blocks of 128 kB and more back to the system at once, which clears each
    page of the next one anew: more work than most operations on an image. Freeing one large block
    raises that limit for good (``M_MMAP_THRESHOLD`` in mallopt(3)). Elsewhere nothing changes.
    """
    block = np.empty(_LARGEST, np.uint8)  # never touched: costs no memory
    del block
