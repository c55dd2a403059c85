"""Files that appear under their name only once they are whole, and stay after a power cut; never over a store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cmam.config.files import sync, sync_folder
from cmam.store.errors import StoreUnavailable
from cmam.store.logfile.database import is_store, remove_with_parts


@contextmanager
def new_file(path: Path, *, over_store: bool = False) -> Iterator[Path]:
    """A place to write to, moved to `path` once it is whole; nothing stays behind if it never is.

    An event store that stands there is left alone, unless the caller has seen that it may go: a log is lost by one name
    typed wrong.
    """
    if not over_store and is_store(path):
        raise StoreUnavailable(f"{path} is an event store: expected another name, nothing is written over one.")
    fresh = path.with_name(f"{path.name}.part-{os.getpid()}")
    try:
        if path.exists() and not path.is_file():  # root could put a file in the place of /dev/null
            raise StoreUnavailable(f"Expected a file to write to, found {path}, which is a folder or a device.")
        os.close(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600))
        yield fresh
        with fresh.open("rb") as file:
            sync(file.fileno())
        fresh.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        remove_with_parts(fresh)
