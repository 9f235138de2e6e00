"""The DPO loss: TRL's numbers from TRL's own code, a value by hand, and the sign of its gradient."""

from __future__ import annotations

import math

import pytest
import torch
from datasets import Dataset
from peft import PeftModel
from transformers import LlamaForCausalLM
from trl import DPOConfig, DPOTrainer

from personalization.methods.dpo import loss
from personalization.models.interventions import Interventions, Row
from personalization.models.logprobs import Completions, PairLogps, completion_logps
from personalization.models.personal import load_adapter
from personalization.records import Message
from tests import tiny

TEXTS = [
    ("How are you?", "Well, thank you. And you?", "No."),
    ("Tell me about rivers", "They run", "Rivers are long and wet, and they run to the sea"),
    ("Hi", "Hello <|im_end|> friend", "Hm"),
]


def logps(chosen: list[float], rejected: list[float]) -> PairLogps:
    ones = torch.ones(len(chosen))
    tensors = [torch.tensor(values, requires_grad=True) for values in (chosen, rejected)]
    return PairLogps(*tensors, ones, ones)


def test_by_hand():
    policy, reference = logps([-9.0], [-12.0]), logps([-10.0], [-11.0])
    # margin 1 - (-1) = 2, so beta 0.5 gives -log sigmoid(1) = log(1 + 1/e)
    assert loss(policy, reference, beta=0.5).item() == pytest.approx(math.log(1 + math.exp(-1)), abs=1e-6)
    assert loss(policy, policy, beta=0.1).item() == pytest.approx(math.log(2), abs=1e-6)


def test_a_step_down_the_loss_raises_the_chosen_and_lowers_the_rejected_answer():
    policy, reference = logps([-9.0, -30.0], [-12.0, -3.0]), logps([-10.0, -10.0], [-11.0, -11.0])
    loss(policy, reference, beta=0.3).sum().backward()
    assert (policy.chosen.grad < 0).all()
    torch.testing.assert_close(policy.rejected.grad, -policy.chosen.grad)
    assert policy.chosen.grad[1].abs() > policy.chosen.grad[0].abs()  # the pair that is wrong pulls harder
    assert reference.chosen.grad is not None  # nothing is detached: the reference is a constant by its caller


def test_extreme_margins_stay_finite():
    far = loss(logps([-1e4, 0.0], [0.0, -1e4]), logps([0.0, 0.0], [0.0, 0.0]), beta=1.0)
    torch.testing.assert_close(far, torch.tensor([1e4, 0.0]))


@pytest.mark.parametrize("beta", [0.1, 0.7])
def test_the_loss_is_trls_from_text_to_number(tmp_path, beta):
    base = tiny.base()
    rows = []
    for question, chosen, rejected in TEXTS:
        chat = [{"role": "user", "content": question}]
        prompt = base.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        rows.append({"prompt": prompt, "chosen": chosen.replace("<|im_end|>", ""), "rejected": rejected})

    fresh = LlamaForCausalLM(base.model.config)
    fresh.load_state_dict(base.model.state_dict())
    folder = tiny.save_adapter(tmp_path / "adapter", seed=3, size=0.05)
    trainer = DPOTrainer(
        model=PeftModel.from_pretrained(fresh, folder, is_trainable=True).merge_and_unload(),
        ref_model=base.model,
        args=DPOConfig(
            output_dir=str(tmp_path / "trl"), beta=beta, loss_type=["sigmoid"], per_device_train_batch_size=3,
            use_cpu=True, bf16=False, gradient_checkpointing=False, report_to=[], max_length=None,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tiny.tokenizer(),
    )  # fmt: skip
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.eval()
    with torch.no_grad():
        expected = trainer.compute_loss(trainer.model, batch).item()

    answers = [
        ([Message("user", row_text[0])], text.replace("<|im_end|>", ""))
        for row_text in TEXTS
        for text in row_text[1:]
    ]
    completions = Completions.encode(base, answers)

    def scored() -> PairLogps:
        sums, counts = completion_logps(base, completions)
        return PairLogps(sums[0::2], sums[1::2], counts[0::2], counts[1::2])

    interventions = Interventions(base)
    try:
        with torch.no_grad():
            reference = scored()
            with interventions.everywhere(Row(adapters=((load_adapter(folder), 1.0),))):
                policy = scored()
    finally:
        interventions.remove()
    ours = loss(policy, reference, beta=beta).mean().item()
    assert abs(ours - math.log(2)) > 0.05  # the adapter says something
    assert ours == pytest.approx(expected, rel=1e-4)  # float32, and merged weights round otherwise
