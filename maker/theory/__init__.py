"""The arithmetic of voting: what k, how many votes, at what price, and how sure one can be of either.

Pure functions of numbers; nothing here draws, and nothing reads a run. Every function names its equation.
Units: probabilities are shares from 0 to 1, votes are valid samples (flagged ones are extra).
"""

from maker.theory.intervals import Interval, clopper_pearson

__all__ = ["Interval", "clopper_pearson"]
