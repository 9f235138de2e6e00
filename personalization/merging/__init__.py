"""Merge LoRA adapters by their weight changes: what several of them learned, in one.

A change is the product of an adapter's two matrices. Acting on the matrices apart, as PEFT's `linear`, `ties`
and `dare_*` do, merges something else: A and B are determined up to any invertible matrix between them, and
the result depends on it. Knows nothing of people, jobs or proof.
"""
