"""Arithmetic by columns."""
