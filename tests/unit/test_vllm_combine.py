"""Several artifacts in one adapter, or one set of vectors, act as they do one beside the other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from personalization import artifacts
from personalization.engine.vllm import combine
from personalization.errors import ArtifactError
from personalization.models.interventions import Interventions, Row
from personalization.models.personal import (
    LoraWeights,
    SteeringVectors,
    load_adapter,
    load_vectors,
    save_vectors,
)
from tests import tiny

IDS = torch.tensor([[5, 77, 130, 9, 200, 41]])


def seal(store: Path, temporary: Path) -> str:
    empty = {"parameters": {}, "records": [], "metrics": {}}
    named = {"kind": "adapter", "owner": "ada", "model_revision": "tiny-revision", "method": "test"}
    return artifacts.seal(temporary, store, **named, **empty, key=b"key").digest


@pytest.fixture
def digests(tmp_path) -> list[str]:
    """Two adapters of different ranks, the second on fewer modules, and two sets of vectors."""
    found = []
    for k in range(2):
        found.append(seal(tmp_path, tiny.save_adapter(tmp_path / "new", seed=k, rank=2 + 3 * k)))
    for k in range(2):
        save_vectors(tiny.vectors(seed=k), tmp_path / "new")
        found.append(seal(tmp_path, tmp_path / "new"))
    return found


def logits(row: Row) -> torch.Tensor:
    model = tiny.base().model
    with torch.no_grad(), Interventions(tiny.base()).everywhere(row):
        return model(IDS).logits


def test_a_sum_of_adapters_in_one_folder_is_the_adapters_one_by_one(tmp_path, digests):
    strengths = (0.75, 1.5)
    acting = list(zip(digests[:2], strengths, strict=True))
    summed = combine.adapter(tmp_path, acting, model_revision="tiny-revision")
    assert combine.rank_of(summed) == 7
    narrow = {name: pair for name, pair in summed.modules.items() if "mlp" not in name}
    fewer = {**narrow, "model.layers.0.mlp.up_proj": (torch.ones(48, 2), torch.ones(2, 96) / 50)}
    for weights in (summed, LoraWeights(fewer)):
        size = combine.save_adapter(weights, tmp_path / f"copy{len(weights.modules)}")
        written = load_adapter(tmp_path / f"copy{len(weights.modules)}")
        assert size > 0
        assert {down.shape[1] for down, _ in written.modules.values()} == {7}
        torch.testing.assert_close(
            logits(Row(adapters=((written, 1.0),))), logits(Row(adapters=((weights, 1.0),)))
        )
    apart = tuple(
        (load_adapter(artifacts.path_of(tmp_path, digest)), strength) for digest, strength in acting
    )
    torch.testing.assert_close(logits(Row(adapters=((summed, 1.0),))), logits(Row(adapters=apart)))


def test_a_sum_of_vectors_is_the_vectors_one_by_one(tmp_path, digests):
    acting = [(digests[2], 0.5), (digests[3], -1.0)]
    summed = combine.vectors(tmp_path, acting, model_revision="tiny-revision")
    assert isinstance(summed, SteeringVectors)
    apart = tuple(
        (load_vectors(artifacts.path_of(tmp_path, digest)), strength) for digest, strength in acting
    )
    torch.testing.assert_close(logits(Row(vectors=((summed, 1.0),))), logits(Row(vectors=apart)))


def test_what_is_not_what_its_digest_says_or_for_another_model_is_refused(tmp_path, digests):
    with pytest.raises(ArtifactError, match="was made for base model tiny-revision"):
        combine.adapter(tmp_path, [(digests[0], 1.0)], model_revision="another")
    file = artifacts.path_of(tmp_path, digests[0]) / "adapter_config.json"
    file.write_text(file.read_text().replace('"r": 2', '"r": 4'))
    with pytest.raises(ArtifactError, match=r"files of artifact .* were changed"):
        combine.adapter(tmp_path, [(digests[0], 1.0)], model_revision="tiny-revision")
    with pytest.raises(ArtifactError, match="no readable manifest"):
        combine.vectors(tmp_path, [("0" * 64, 1.0)], model_revision="tiny-revision")
