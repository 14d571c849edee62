"""How a task becomes segments of minimal steps, and how their results are stitched."""
