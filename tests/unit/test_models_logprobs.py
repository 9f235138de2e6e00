"""Log-probabilities of answers are those of one forward pass for each, whatever the batching."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization.models.interventions import Interventions, Row
from personalization.models.logprobs import Completions, completion_logps
from personalization.records import Message
from tests import tiny

text = st.text(alphabet="abc é🦊", max_size=12)


def one_by_one(items: Completions) -> list[float]:
    sums = []
    for prompt, answer in zip(items.prompts, items.answers, strict=True):
        logps = tiny.base().model(torch.tensor([[*prompt, *answer]])).logits[0].log_softmax(-1)
        sums.append(sum(float(logps[len(prompt) - 1 + k, token]) for k, token in enumerate(answer)))
    return sums


@given(st.lists(st.tuples(text, text), min_size=1, max_size=6), st.integers(1, 400))
@settings(max_examples=40, deadline=None)
@torch.no_grad()
def test_batches_change_nothing(pairs: list[tuple[str, str]], batch_tokens: int) -> None:
    items = Completions.encode(tiny.base(), [([Message("user", p)], a) for p, a in pairs])
    sums, counts = completion_logps(tiny.base(), items, batch_tokens=batch_tokens)
    torch.testing.assert_close(sums, torch.tensor(one_by_one(items)), rtol=1e-4, atol=1e-3)
    assert counts.tolist() == [len(a.encode()) + 1 for _, a in pairs]  # bytes, and the end of turn


@torch.no_grad()
def test_what_acts_on_the_model_is_honoured() -> None:
    items = Completions.encode(tiny.base(), [([Message("user", "a")], "bc")] * 3)
    before, _ = completion_logps(tiny.base(), items)
    with Interventions(tiny.base()).everywhere(Row(vectors=((tiny.vectors(seed=1), 1.0),))):
        sums, _ = completion_logps(tiny.base(), items, batch_tokens=1)
    assert not torch.allclose(before, sums)
    assert sums[0] == sums[2]


def test_no_answers_give_empty_tensors() -> None:
    sums, counts = completion_logps(tiny.base(), Completions((), ()))
    assert sums.shape == counts.shape == (0,)
