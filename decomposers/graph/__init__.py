"""Breadth-first search, one node a step."""
