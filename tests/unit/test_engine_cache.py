"""A batch's keys and values take no more room than they may, whoever comes and goes."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache

from personalization.engine.cache import RowCache

ROWS, MOST, HEADS, WIDTH = 8, 1000, 1, 1

# How long a newcomer's prompt is and how many tokens follow, and which of the rows leaves (None: nobody).
acts = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 400), st.integers(1, 100)),
        st.integers(0, ROWS - 1),
        st.none(),
    ),
    max_size=30,
)


@given(acts)
@settings(max_examples=50, deadline=None)
def test_the_ceiling_holds_and_every_row_keeps_its_own(acts) -> None:
    """A row joins (its prompt and what follows), one leaves, or all write a token."""
    cache = RowCache(1, max_rows=ROWS, max_tokens=MOST, device=torch.device("cpu"))
    rows: list[tuple[list[float], int]] = []  # what each row holds, and how long it may become
    number = 0.0
    for act in acts:
        if isinstance(act, tuple):
            prompt, more = act
            need = max([prompt + more, *(most for _, most in rows)])
            if len(rows) == ROWS or (rows and (len(rows) + 1) * need > MOST):
                continue  # it waits, as the scheduler has it
            number += 1
            past = DynamicCache()
            past.update(*(torch.full((1, HEADS, prompt, WIDTH), number) for _ in range(2)), 0)
            cache.append(past, [prompt], [0])
            rows.append(([number] * prompt, prompt + more))
        elif act is None and rows and all(len(held) < most for held, most in rows):
            cache.ready()
            written = torch.arange(len(rows)).float()[:, None, None, None]
            keys, values = cache.past.update(written, written, 0)
            cache.grown()
            assert keys.shape == values.shape == (len(rows), HEADS, cache.longest, WIDTH)
            rows = [([*held, float(i)], most) for i, (held, most) in enumerate(rows)]
        elif isinstance(act, int) and act < len(rows):
            cache.remove(act)
            last = rows.pop()
            if act < len(rows):
                rows[act] = last
        held = [
            each for layer in cache.past.layers for each in (layer.keys, layer.values) if each is not None
        ]
        assert sum(each.nbytes for each in held) <= 2 * 4 * max([MOST, *(most for _, most in rows)])
        for i, (tokens, _) in enumerate(rows):
            assert cache.row(i)[:, 0, :, 0].tolist() == [tokens, tokens]
