"""A run's folder: the only thing that reports, viewers and users read."""

from trimtab.records.folder import RunFolder
from trimtab.records.samples import SampleRecord, read_samples, write_samples

__all__ = ["RunFolder", "SampleRecord", "read_samples", "write_samples"]
