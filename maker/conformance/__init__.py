"""Does a plug-in keep its contract? Checks that return data, for `maker check` and for `maker.testing`.

They run the plug-in, but draw no conclusion for a run: no journal, no vote. Invariant: a finding says what
was seen, what was expected and what to do. Read next: `decomposers.py`.
"""

from maker.conformance.finding import Finding

__all__ = ["Finding"]
