"""Who may operate, what workers say of themselves, and the numbers that the panel's trends are made of."""

from .answered import AnsweredRequest
from .measure import Measure
from .role import RoleGrant, SupportLeave
from .worker import Worker

__all__ = ["AnsweredRequest", "Measure", "RoleGrant", "SupportLeave", "Worker"]
