"""Reward models of several people: which of two answers they prefer, learned from all their comparisons.

Knows nothing of rows, jobs or pages. A person's own reward is `personalization.steering.reward`.
"""
