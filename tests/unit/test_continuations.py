"""Continuations of prompts that are read once each are as likely as after prompts of their own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache

from personalization.models.continuations import continuation_logps
from personalization.models.logprobs import Completions, completion_logps
from tests import tiny

texts = st.lists(st.integers(3, 250), min_size=1, max_size=6)
# Several prompts, and as many continuations of each.
asked = st.integers(1, 3).flatmap(
    lambda count: st.lists(
        st.tuples(texts, st.lists(texts, min_size=count, max_size=count)), min_size=1, max_size=4
    )
)


@settings(max_examples=40, deadline=None)
@given(shared=st.lists(st.integers(3, 250), max_size=5), asked=asked)
def test_each_is_as_likely_as_after_a_prompt_of_its_own(shared, asked):
    base = tiny.base()
    begun = DynamicCache(config=base.model.config)
    if shared:
        with torch.no_grad():
            base.decoder(input_ids=torch.tensor([shared]), past_key_values=begun, use_cache=True)
    prompts, continuations = [list(one) for one in zip(*asked, strict=True)]
    found = continuation_logps(base, prompts, continuations, begun)
    assert begun.get_seq_length() == len(shared)
    alone = Completions(
        tuple((*shared, *prompt) for prompt, several in asked for _ in several),
        tuple(tuple(one) for several in continuations for one in several),
    )
    with torch.no_grad():
        sums, _ = completion_logps(base, alone)
    assert found.sum(dim=2).flatten().tolist() == pytest.approx(sums.tolist(), abs=2e-4)
    for several, theirs in zip(continuations, found, strict=True):
        for one, logps in zip(several, theirs, strict=True):
            assert (logps[: len(one)] < 0).all()
            assert (logps[len(one) :] == 0).all()
