"""Whole programs that show a part of the package at work."""
