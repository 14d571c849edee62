"""Merge sort, one comparison a step."""
