"""The report card's sentence and what can be taken away: JSON, and a model card that the Hub reads."""

from __future__ import annotations

import json

from django.urls import reverse
from huggingface_hub import ModelCard

from alignapp.adapters import modelcard, store
from alignapp.adapters.headline import estimate, headline
from personalization.statistics import Estimate, more_comparisons, wilson
from tests.web import learned


def of(value: float, low: float | None, high: float | None, n: int = 40) -> dict:
    return {"accuracy": {"artifact": learned.estimate(value, low, high, n)}, "n_conversations": 10}


def test_the_headline_says_what_was_won() -> None:
    assert headline(learned.results()) == "Your alignment wins 27 of 40 new comparisons (52 to 80 %)."
    assert "worse than a coin" in headline(of(0.3, 0.2, 0.45))
    assert "more conversations are needed" in headline(of(0.8, None, None))
    assert headline({}) == ""


def test_the_headline_says_how_many_more_comparisons_would_tell() -> None:
    share = wilson(24, 40)
    said = headline(of(share.value, share.low, share.high))
    # 194 independent comparisons show 60 %, so 154 are missing; 40 came from 10 conversations.
    assert said == (
        "Not proven: it wins 24 of 40 new comparisons (45 to 74 %). "
        "About 154 more new comparisons (39 rated conversations) would tell."
    )
    assert "no feasible number" in headline(of(0.51, 0.4, 0.62))
    assert "no feasible number" in headline(of(0.4, 0.3, 0.52))
    # The same share on alike comparisons needs more of them.
    assert (more_comparisons(Estimate(0.6, 40, 0.35, 0.8)) or 0) > 154


def test_a_personality_headline_speaks_of_steps() -> None:
    results = {"error": {"artifact": learned.estimate(0.9, 0.8, 1.0)}}
    near = headline({**results, "difference": learned.estimate(-0.2, -0.3, -0.1)})
    assert near == "With it, answers are 0.20 steps (0.10 to 0.30) nearer to yours than the base's."
    assert "Not proven" in headline({**results, "difference": learned.estimate(-0.2, -0.5, 0.1)})


def test_a_missing_end_is_infinite() -> None:
    found = estimate({"value": 0.5, "n": 3, "low": None, "high": None})
    assert found is not None
    assert found.high == float("inf")
    assert estimate(None) is None


def test_the_model_card_is_read_by_the_hub_and_quotes_nobody(owner) -> None:
    artifact = learned.artifact(owner)
    text = modelcard.as_readme(artifact, store.check(artifact)).decode()
    card = ModelCard(text)
    assert card.data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert card.data.library_name == "peft"
    assert card.data.license == "other"
    assert {"alignapp", "lora", "dpo"} <= set(card.data.tags)
    own = card.data.eval_results[0]
    assert (own.metric_type, own.metric_value) == ("accuracy", 0.675)
    sections = "What it is", "Personal data", "Training data", "Evaluation", "Compared with", "How to load"
    for section in sections:
        assert f"\n## {section}\n" in text
    assert "2 records of feedback" in text
    assert "| 0.675 | 0.520 to 0.800 | 40 |" in text
    for words in ("alert(1)", "<b>long</b>", owner.email, str(owner.pk)):
        assert words not in text


def test_a_card_without_evidence_or_of_a_vector_is_a_valid_card(owner) -> None:
    plain = learned.artifact(owner, proven=None)
    assert "It has not met held-out feedback yet." in modelcard.as_readme(plain, {}).decode()
    vector = ModelCard(modelcard.as_readme(learned.artifact(owner, "steer"), {}).decode())
    assert "steering-vector" in vector.data.tags
    assert "load_file" in vector.text


def test_the_json_is_the_whole_card_and_the_owners_only(owner, other, client_of) -> None:
    artifact = learned.artifact(owner)
    url = reverse("adapters:card_json", args=[artifact.id])
    response = client_of(owner).get(url)
    found = json.loads(response.content)
    assert found["results"] == learned.results()
    assert found["headline"].startswith("Your alignment wins 27 of 40")
    assert found["training_data"]["records"] == 2
    assert "attachment" in response["Content-Disposition"]
    assert client_of(other).get(url).status_code == 404
    assert client_of(other).get(reverse("adapters:model_card", args=[artifact.id])).status_code == 404


def test_damaged_files_do_not_hide_the_card(owner, client_of) -> None:
    artifact = learned.artifact(owner)
    (store.folder_of(artifact) / "adapter_model.safetensors").write_bytes(b"other")
    response = client_of(owner).get(reverse("adapters:model_card", args=[artifact.id]))
    assert response.status_code == 200
    assert b"0 records of feedback" in response.content
