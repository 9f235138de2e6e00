"""Jobs that learn, artifacts that were learned, and the alignment that is switched on."""

from .alignment import Alignment, AlignmentVersion
from .artifact import Artifact, ReportCard
from .base_model import KnownModel
from .job import Job
from .judgement import Judgement
from .method import MergeWay, MethodInfo

__all__ = [
    "Alignment",
    "AlignmentVersion",
    "Artifact",
    "Job",
    "Judgement",
    "KnownModel",
    "MergeWay",
    "MethodInfo",
    "ReportCard",
]
