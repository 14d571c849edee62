"""When a ballot is decided, and which samples are flagged."""

from maker.voters.ahead_by_k import AheadByK
from maker.voters.baselines import FirstToK, Majority
from maker.voters.flags import Custom, Malformed, Refusal, TooLong, Truncated

__all__ = [
    "AheadByK",
    "Custom",
    "FirstToK",
    "Majority",
    "Malformed",
    "Refusal",
    "TooLong",
    "Truncated",
]
