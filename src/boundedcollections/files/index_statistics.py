"""The figures of an index."""

from dataclasses import dataclass

from boundedcollections.files.snapshot import IndexReport


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStatistics:
    """
    The figures of one `ReplaceOnIndex` at one moment.

    Attributes:
        files: files that are indexed.
        current_bytes: bytes held: of the snapshot that is read and of a walk under way.
            Snapshots that others hold are theirs.
        peak_bytes: the most bytes ever held.
        max_files: the bound in files.
        max_bytes: the bound in bytes.
        generation: the number of the scan that made the snapshot; 0 before the first.
        scans: scans ever begun; refreshes, failed and abandoned ones count.
        failed_scans: scans that failed, so that the snapshot stayed.
        last_error: what the newest scan failed with, if it failed; otherwise None.
        age_seconds: how long ago the scan began that made the snapshot; None before the first.
        report: how that scan went; None before the first.
        listener_errors: how often `on_index` and `on_change` raised.
    """

    files: int
    current_bytes: int
    peak_bytes: int
    max_files: int
    max_bytes: int
    generation: int
    scans: int
    failed_scans: int
    last_error: str | None
    age_seconds: float | None
    report: IndexReport | None
    listener_errors: int
