"""When a ballot is decided, and which samples are flagged."""

from maker.voters.ahead_by_k import AheadByK
from maker.voters.baselines import FirstToK, Majority
from maker.voters.best_of import BestOf
from maker.voters.escalating import Escalating
from maker.voters.flags import Custom, Malformed, Refusal, TooLong, Truncated
from maker.voters.posterior import Posterior
from maker.voters.weighted import Weighted

__all__ = [
    "AheadByK",
    "BestOf",
    "Custom",
    "Escalating",
    "FirstToK",
    "Majority",
    "Malformed",
    "Posterior",
    "Refusal",
    "TooLong",
    "Truncated",
    "Weighted",
]
