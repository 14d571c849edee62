"""Benchmarks: each module is a command that prints a table and stores its figures as JSON in results/."""
