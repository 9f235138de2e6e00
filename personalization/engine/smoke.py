"""Try a base model before people are moved to it: load, answer, steer, apply an adapter, alone and batched.

Run as a process of its own (`python -m personalization.engine.smoke SPEC …`), so that a model that does not
fit takes no worker with it; each line it prints is JSON. Knows nothing of registries, people or workers.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from personalization.engine.local import LocalEngine
from personalization.engine.requests import Finished, GenerationRequest, Intervention, Sampling
from personalization.errors import AlignError, ModelError
from personalization.models.base import BaseModel, content_hash, device_of, load
from personalization.models.personal import SteeringVectors, save_vectors
from personalization.models.prompts import encode_text
from personalization.models.vetting import Finding, facts_of, fetched, good, licence_of, look, refused
from personalization.records import Message
from personalization.steering.questionnaire import Questionnaire
from personalization.training.lora import Adapter, target_modules
from personalization.training.settings import TrainingSettings
from personalization.values import effects

QUESTION = "Name three colours and say what each reminds you of."
TOKENS = 12
PUSH = 0.7  # of the hidden state's own norm: enough to change what is said
CHANGE = 0.3  # of each weight's norm, by the trial adapter
STEPS = 12  # findings and stages of a check that passes, for its progress


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the model that is named; print a line for each finding, and the facts at the end."""
    parser = argparse.ArgumentParser(prog="python -m personalization.engine.smoke")
    parser.add_argument("spec")
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True, help="where artifacts lie")
    parser.add_argument("--values", type=Path, required=True, help="where built value directions lie")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--licence", default="")
    given = parser.parse_args(arguments)
    done = 0
    try:
        for line in check(given):
            done += 1
            sys.stdout.write(json.dumps({"share": min(done / STEPS, 0.99), **line}) + "\n")
            sys.stdout.flush()
    except AlignError as error:
        sys.stdout.write(json.dumps({"finding": refused("load", str(error)).as_dict()}) + "\n")
        return 1
    return 0


def check(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield {"finding": …} for each check, {"facts": …} at the end; nothing is loaded once one failed."""
    source = fetched(given.spec, given.model_dir)
    device = device_of(given.device)
    is_fit = True
    for finding in look(source, device=device, store=given.store, licence=given.licence):
        is_fit &= finding.ok
        yield {"finding": finding.as_dict()}
    if not is_fit:
        return
    begun = time.monotonic()
    base = load(str(source), given.model_dir, device=given.device, threads=given.threads)
    seconds = time.monotonic() - begun
    yield {"finding": good("load", f"On {base.device} in {seconds:.1f} s.").as_dict()}
    for finding in smoke(base):
        yield {"finding": finding.as_dict()}
    hashed = content_hash(source)
    facts = facts_of(base) | {
        "name": base.name,
        "content_hash": hashed,
        "revision": base.revision,
        "licence": given.licence or licence_of(source),
        "caches": caches_of(base, given.values, given.model_dir / "personality"),
    }
    yield {"facts": facts}


def smoke(base: BaseModel) -> Iterator[Finding]:
    """Answer one question as it is, steered, adapted and both: each alone, then all in one batch."""
    with tempfile.TemporaryDirectory(prefix="smoke-") as temporary:
        folder = Path(temporary)
        vector = Intervention("vector", _vector(base, folder / "vector"), "v" * 64)
        adapter = Intervention("adapter", _adapter(base, folder / "adapter"), "a" * 64)
        rows = {"plain": (), "steered": (vector,), "adapted": (adapter,), "both": (adapter, vector)}
        engine = LocalEngine(base, max_rows=len(rows), queue_limit=len(rows), prefix_bytes=0)
        try:
            alone = {name: _answers(engine, {name: row})[name] for name, row in rows.items()}
            yield Finding("answer", bool(alone["plain"]), f"{alone['plain'][:120]!r}")
            for name, words in (("steered", "steer"), ("adapted", "adapter")):
                changed = alone[name] != alone["plain"]
                yield Finding(words, changed, "It changes the answer." if changed else "It changes nothing.")
            together = _answers(engine, rows)
        finally:
            engine.close()
    differ = [name for name in rows if alone[name] != together[name]]
    # In bfloat16 a batch is summed in another order, which may turn a near tie between two tokens.
    ok = not differ or base.device.type != "cpu"
    said = f"differs: {', '.join(differ)}" if differ else "the same answers"
    yield Finding("batch and alone", ok, f"Four rows in one batch: {said}.")


def _answers(engine: LocalEngine, rows: dict[str, tuple[Intervention, ...]]) -> dict[str, str]:
    messages = (Message("user", QUESTION),)
    sampling = Sampling(temperature=0.0, max_new_tokens=TOKENS)
    streams = {
        name: engine.submit(GenerationRequest(name, messages, sampling, row, owner=name))
        for name, row in rows.items()
    }
    found = {}
    for name, stream in streams.items():
        last = [event for event in stream if isinstance(event, Finished)][-1]
        if last.reason == "error":
            raise ModelError(f"It cannot answer ({name}): {last.error}")
        found[name] = last.text
    return found


@torch.inference_mode()
def _vector(base: BaseModel, folder: Path) -> Path:
    """Write a random direction in the middle layer, as long as `PUSH` of the states there."""
    layer = len(base.layers) // 2
    ids = torch.tensor([encode_text(base, QUESTION)], device=base.device)
    states = base.model(ids, output_hidden_states=True).hidden_states[layer + 1][0, 1:].float()
    direction = torch.randn(base.hidden_size, generator=torch.Generator().manual_seed(0))
    size = PUSH * float(states.norm(dim=-1).mean())
    save_vectors(SteeringVectors({(layer, "output"): direction / direction.norm() * size}), folder)
    return folder


@torch.inference_mode()
def _adapter(base: BaseModel, folder: Path) -> Path:
    """Write a random adapter that changes each weight by `CHANGE` of its norm."""
    folder.mkdir()
    made = Adapter(base, TrainingSettings(), seed=0)
    generator = torch.Generator().manual_seed(0)
    modules = target_modules(base)
    for name in made.targets:
        down, up = made.parameters[f"{name}.lora_A"], made.parameters[f"{name}.lora_B"]
        drawn = torch.randn(up.shape, generator=generator).to(up)
        change = made.scaling * (drawn @ down).norm()
        up.copy_(drawn * (CHANGE * modules[name].weight.float().norm() / change))
    made.save(folder)
    return folder


def caches_of(base: BaseModel, values: Path, activations: Path) -> list[str]:
    """Say in words what was computed once of a base model and is kept: directions, activations."""
    place = effects.place(values, base.revision)
    count = len(effects.read(place)) if place.is_dir() else 0
    origin = "shipped with alignapp" if place.parent == effects.SHIPPED else "built here"
    found = [f"{count} value directions, {origin}"] if count else []
    try:
        found += ["the inventory's activations"] if Questionnaire(base).is_kept(activations) else []
    except ModelError as error:
        found.append(f"no personality vectors: {error}")
    return found


if __name__ == "__main__":
    sys.exit(main())
