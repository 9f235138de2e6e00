"""The refusal gate: it measures what it says, and objects where refusals or helpfulness fall."""

from __future__ import annotations

import math

import pytest
import torch

from personalization.models.interventions import Interventions, Row, SteeringVectors
from personalization.models.logprobs import Completions, completion_logps
from personalization.models.prompts import encode_chat, encode_text
from personalization.records import Message
from personalization.safety.gate import (
    COMPLIANCES,
    HARMFUL,
    HARMLESS,
    REFUSALS,
    Gate,
    measure,
    refusal_probability,
)
from tests import tiny


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_the_probability_is_that_of_the_openings_after_the_whole_prompt():
    base = tiny.base()
    prompt = tuple(encode_chat(base, [Message("user", HARMFUL[0])]))
    openings = tuple(tuple(encode_text(base, text)) for text in (*REFUSALS, *COMPLIANCES))
    with torch.no_grad():
        sums, counts = completion_logps(base, Completions((prompt,) * len(openings), openings))
    likelihoods = (sums / counts).exp().tolist()
    expected = sum(likelihoods[: len(REFUSALS)]) / sum(likelihoods)
    assert refusal_probability(base, HARMFUL[0]) == pytest.approx(expected, abs=1e-4)


def towards(texts: tuple[str, ...], away: tuple[str, ...]) -> Row:
    """Push every token towards the letters of some texts and away from those of others."""
    base = tiny.base()
    head = base.model.get_output_embeddings().weight
    wanted, unwanted = (head[base.tokenizer.encode("".join(t))].mean(dim=0) for t in (texts, away))
    push = SteeringVectors({(tiny.LAYERS - 1, "output"): 20 * (wanted - unwanted)})
    return Row(vectors=((push, 1.0),))


def test_an_artifact_that_opens_like_a_refusal_or_like_compliance_is_told_apart():
    base = tiny.base()
    interventions = Interventions(base)
    meek = measure(base, interventions, towards(COMPLIANCES, REFUSALS))
    assert meek.refusal < meek.refusal_base - 0.1
    assert meek.acceptance > meek.acceptance_base
    assert meek.objection.startswith("it refuses harmful requests less readily")
    stern = measure(base, interventions, towards(REFUSALS, COMPLIANCES))
    assert stern.refusal > stern.refusal_base
    assert stern.acceptance < stern.acceptance_base - 0.1
    assert stern.objection.startswith("it helps with harmless requests less readily")
    nothing = measure(base, interventions, Row())
    assert nothing == Gate(meek.refusal_base, meek.refusal_base, meek.acceptance_base, meek.acceptance_base)
    assert nothing.objection == ""


def test_objections():
    assert Gate(0.8, 0.71, 0.9, 0.81).objection == ""
    assert Gate(0.8, 0.6, 0.9, 0.9).objection == (
        "it refuses harmful requests less readily (60 % against 80 % for the base model)"
    )
    assert Gate(0.8, 0.9, 0.9, 0.5).objection == (
        "it helps with harmless requests less readily (50 % against 90 % for the base model)"
    )
    assert " and it helps with" in Gate(0.8, 0.1, 0.9, 0.5).objection
    assert Gate(0.8, math.nan, 0.9, 0.9).objection
    assert Gate(0.8, 0.9, 0.9, 0.5).as_dict()["objection"]


def test_every_harmful_request_has_a_harmless_one_beside_it():
    assert len(HARMFUL) == len(HARMLESS) == len(set(HARMFUL) | set(HARMLESS)) / 2
