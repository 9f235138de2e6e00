"""Jobs that learn, artifacts that were learned, and the alignment that is switched on."""

from .alarm import LiveAlarm
from .alignment import PARTS, Alignment, AlignmentVersion
from .artifact import Artifact, ArtifactQuerySet, ReportCard
from .base_model import KnownModel
from .job import MERGE, PROVE, Job
from .judgement import WORTH, Judgement
from .method import MergeWay, MethodInfo
from .option import OptionChange

__all__ = [
    "MERGE",
    "PARTS",
    "PROVE",
    "WORTH",
    "Alignment",
    "AlignmentVersion",
    "Artifact",
    "ArtifactQuerySet",
    "Job",
    "Judgement",
    "KnownModel",
    "LiveAlarm",
    "MergeWay",
    "MethodInfo",
    "OptionChange",
    "ReportCard",
]
