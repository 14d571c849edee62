"""What `maker new` writes: a whole decomposer with its tests, copied under another name.

These files are linted, typed and tested as they lie here. Invariant: `newtask` and `NewTask` occur in them
only where the new name shall stand.
"""
