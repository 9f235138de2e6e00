"""What the lower layers make of a text once is what they make at every step, and is not trusted blindly."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

import pytest
import torch
from safetensors.torch import load_file

from personalization.models.logprobs import Completions, completion_logps, read_logps
from personalization.records import Message
from personalization.training import packed
from personalization.training.packed import Text
from personalization.training.trunk import Trunk, decoded_above
from tests import tiny
from tests.unit.test_training import FAST, SAFETENSORS, fingerprint, train

ITEMS = Completions.encode(
    tiny.base(),
    [((Message("user", "a" * (3 * i + 1)),), "yes " * (2 * i + 1)) for i in range(5)],
)
TEXTS = [
    Text(torch.tensor([*p, *a]), len(p), (len(a),)) for p, a in zip(ITEMS.prompts, ITEMS.answers, strict=True)
]


@pytest.mark.parametrize("first", [1, 2])
def test_log_probabilities_are_those_of_the_whole_model(first):
    base = tiny.base()
    before = fingerprint(base.model)
    trunk = Trunk.of(base, TEXTS, first)
    with torch.no_grad():
        whole, _ = completion_logps(base, ITEMS)
        row = decoded_above(base, trunk.texts, first).split([len(text.given) for text in TEXTS])
        read = torch.cat([own[text.before(0)] for text, own in zip(TEXTS, row, strict=True)])
        split, _ = read_logps(base, ITEMS.answers, read)
    torch.testing.assert_close(split, whole, rtol=1e-5, atol=1e-4)
    assert fingerprint(base.model) == before


def test_a_model_that_nothing_was_read_with_yet_is_read_as_any(monkeypatch):
    """Whether it can be read in rows is found out first, and not by the lower layers alone."""
    asked = Trunk.of(tiny.base(), TEXTS, 1)
    monkeypatch.setattr(packed, "_packable", WeakKeyDictionary())
    first = Trunk.of(tiny.base(), TEXTS, 1)
    for one, other in zip(asked.texts, first.texts, strict=True):
        torch.testing.assert_close(one.given, other.given)
    monkeypatch.setattr(packed, "_packable", WeakKeyDictionary())
    decoded_above(tiny.base(), first.texts, 1)
    assert list(packed._packable.values()) == [True]


def test_an_adapter_that_is_trained_above_it_is_the_one_trained_without(tmp_path, monkeypatch):
    upper = replace(FAST, trained_share=0.5)
    train(tmp_path / "with", settings=upper)
    monkeypatch.setattr(Trunk, "of", lambda *_: None)
    train(tmp_path / "without", settings=upper)
    one, other = (load_file(tmp_path / name / "out" / SAFETENSORS) for name in ("with", "without"))
    assert {name.split("layers.")[1][0] for name in one} == {"1", "2"}
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-4, atol=1e-5)


def test_a_model_that_does_more_with_its_input_is_read_from_the_bottom(monkeypatch):
    base = tiny.base()
    handle = base.decoder.register_forward_pre_hook(
        lambda _, args, kwargs: (
            args,
            {k: v * 7.0 if k == "inputs_embeds" else v for k, v in kwargs.items()},
        ),
        with_kwargs=True,
    )
    try:
        assert Trunk.of(base, TEXTS, 1) is None
    finally:
        handle.remove()
    assert Trunk.of(base, TEXTS, 1) is not None


def test_there_is_none_where_every_layer_learns_or_memory_is_short(monkeypatch):
    assert Trunk.of(tiny.base(), TEXTS, 0) is None
    monkeypatch.setattr("personalization.training.trunk.MOST_BYTES", 10)
    assert Trunk.of(tiny.base(), TEXTS, 1) is None
