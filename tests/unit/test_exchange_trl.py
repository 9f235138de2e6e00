"""What is exported for TRL is what TRL trains on: loaded by `datasets`, two steps of its own DPO trainer."""

from __future__ import annotations

import pytest
from datasets import load_dataset
from transformers import LlamaForCausalLM
from trl import DPOConfig, DPOTrainer

from personalization.exchange import registry
from personalization.exchange.neutral import Act, Answer, Example, Judgement
from personalization.exchange.transfer import Export
from personalization.records import Message
from tests import tiny


def examples() -> list[Example]:
    found = []
    for number in range(4):
        acts = tuple(Act("rating", i, protocol="slider-1-100", score=90.0 - 40 * i) for i in range(2))
        answers = (Answer(f"River {number} is long."), Answer("No."))
        messages = (Message("user", f"Tell me about river {number}"),)
        found.append(Example(str(number), messages, answers, (Judgement("ann", acts),), licence="MIT"))
    return found


@pytest.mark.parametrize("form", ["trl-preference", "trl-conversational", "trl-implicit"])
def test_trl_trains_on_the_exported_file(tmp_path, form):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(Export(registry.get(form), "training").lines(examples())))
    data = load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(data) == 4
    model = LlamaForCausalLM(tiny.config())
    reference = LlamaForCausalLM(tiny.config())
    reference.load_state_dict(model.state_dict())
    before = model.lm_head.weight.detach().clone()
    trainer = DPOTrainer(
        model=model,
        ref_model=reference,
        args=DPOConfig(
            output_dir=str(tmp_path / "out"), max_steps=2, per_device_train_batch_size=2, learning_rate=1e-2,
            use_cpu=True, bf16=False, gradient_checkpointing=False, report_to=[], save_strategy="no",
            logging_steps=1, disable_tqdm=True,
        ),
        train_dataset=data,
        processing_class=tiny.tokenizer(),
    )  # fmt: skip
    losses = [entry["loss"] for entry in (trainer.train(), trainer.state.log_history)[1] if "loss" in entry]
    assert len(losses) == 2
    assert losses[0] == pytest.approx(0.6931, abs=1e-3)  # log 2: policy and reference begin alike
    assert not model.lm_head.weight.equal(before)
