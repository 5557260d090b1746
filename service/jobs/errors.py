"""What can be wrong with an import, beside what can be wrong with a photo."""

from __future__ import annotations

from embedding.errors import InputError, WhichoneError
from service.errors import Conflict, NotFound, RequestError

__all__ = [
    "ArchiveInvalid",
    "EntryRefused",
    "ImportPathRefused",
    "ImportRootUnset",
    "JobFilesGone",
    "JobFinished",
    "LeaseLost",
    "NoPhotos",
    "TooManyJobs",
    "UnknownJob",
]


class NoPhotos(InputError):
    """What was named holds no photos, or does not say what they show."""

    code = "no_photos"


class ArchiveInvalid(RequestError):
    """A zip that cannot be read, or is larger inside than an import may be."""

    code = "invalid_archive"


class EntryRefused(InputError):
    """One file of an archive or folder that cannot be read, or may not be."""

    code = "entry_refused"


class ImportPathRefused(RequestError):
    """A folder or CSV that is not beneath the import root."""

    code = "import_path_refused"


class ImportRootUnset(Conflict):
    """The server has no folder to import from."""

    code = "import_root_unset"


class TooManyJobs(Conflict):
    """As many imports are waiting as may."""

    code = "too_many_jobs"


class UnknownJob(NotFound):
    """No job of this id in the gallery, or no longer."""

    code = "unknown_job"


class JobFinished(Conflict):
    """A job that is at its end already."""

    code = "job_finished"


class JobFilesGone(WhichoneError):
    """The files that a job keeps in the data folder are not there."""

    code = "job_files_gone"


class LeaseLost(WhichoneError):
    """Another process has taken the job over, or it was cancelled meanwhile."""

    code = "lease_lost"
