"""IRGAN."""
