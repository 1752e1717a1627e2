"""Where a ledger may stand: on a disk of this machine, not on a network file system.

Law: looks at the mount table and refuses.  On a share, locks may not hold, a sync may not reach a disk, and
the shared memory of the write-ahead log does not exist between two machines: each of them loses records.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from grinder.errors import EnvironmentFault

MOUNTS = Path("/proc/self/mountinfo")

NETWORK = frozenset(
    (
        *("nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs", "coda", "davfs"),
        *("ceph", "glusterfs", "lustre", "gpfs", "beegfs", "orangefs", "pvfs2", "moosefs", "webdav"),
    )
)
"""Kinds of file systems whose files are another machine's."""

NETWORK_FUSE = frozenset(
    (
        *("sshfs", "glusterfs", "ceph", "ceph-fuse", "s3fs", "rclone", "gcsfuse", "davfs", "davfs2"),
        *("curlftpfs", "juicefs", "goofys", "blobfuse", "blobfuse2", "smbnetfs", "mfs", "moosefs"),
        *("mount-s3", "mountpoint-s3", "nfs", "smb", "seaweedfs", "objectivefs", "vmhgfs-fuse", "onedrive"),
    )
)
"""The same, of those that run in user space: the part after ``fuse.``."""


def mounted_kind(path: Path, mounts: Path = MOUNTS) -> str:
    """Kind of the file system a path is on or will be on, as ``nfs4``; empty where that cannot be known."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    where = path.resolve()
    found, depth = "", -1
    for line in lines:
        before, separator, after = line.partition(" - ")
        fields = before.split()
        if not separator or len(fields) < 5 or not after:
            continue
        point = Path(_unescaped(fields[4]))
        # What was mounted later lies over what was mounted there before.
        if len(point.parts) >= depth and (where == point or where.is_relative_to(point)):
            found, depth = after.split()[0], len(point.parts)
    return found


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda digits: chr(int(digits[1], 8)), text)


def is_network(kind: str) -> bool:
    """Whether files of this kind of file system are another machine's."""
    name, _, inner = kind.lower().partition(".")
    return name in NETWORK or (name in ("fuse", "fuseblk") and inner in NETWORK_FUSE)


def require_local(folder: Path, kind_of: Callable[[Path], str] | None = None) -> None:
    """Refuse a folder on a network file system.

    Raises:
        EnvironmentFault: it is on one.
    """
    kind = (kind_of or mounted_kind)(folder)
    if is_network(kind):
        raise EnvironmentFault(
            "ledger.network_file_system",
            "a ledger cannot be kept on a network file system: its locks and syncs do not hold there",
            place=str(folder),
            value=kind,
            fix="name a folder on a disk of this machine, and copy it to the share with `grinder backup`",
        )
