"""Scorers, their losses and what a trained one is made of."""
