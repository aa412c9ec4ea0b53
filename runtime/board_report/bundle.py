"""The one file to attach: a compressed archive of texts, in which nothing tells who made it.

GitHub takes ``.gz`` up to 25 MB in an issue ("Attaching files" in its documentation; HTML not on every Enterprise
server). Owners and their numbers are left out of the archive, for its headers would name the user.
"""

import gzip
import io
import tarfile
from typing import Sequence, Tuple

from ccc_jetson.errors import FileProblem
from ccc_jetson.files import replacing

MOST_BYTES = 25 * 1000 * 1000


def write_bundle(path: str, top: str, files: Sequence[Tuple[str, str]], when: float) -> int:
    """Writes (name, text) pairs below the folder ``top`` of an archive; returns its size in bytes.

    Args:
        when: seconds since 1970, the time of every file in it.

    Raises:
        FileProblem: it cannot be written, or is larger than an issue takes.
    """
    data = _packed(top, files, when)
    if len(data) > MOST_BYTES:
        raise FileProblem(
            "{}: would have {:.1f} MB, and an issue takes {:.0f}".format(path, len(data) / 1e6, MOST_BYTES / 1e6),
            hint="attach the pages in the report's folder one by one",
        )
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(data)
    return len(data)


def _packed(top: str, files: Sequence[Tuple[str, str]], when: float) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=when) as compressed:
        with tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name, content in files:
                data = content.encode("utf-8")
                entry = tarfile.TarInfo("{}/{}".format(top, name))
                entry.size, entry.mtime, entry.mode = len(data), int(when), 0o644
                archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()
