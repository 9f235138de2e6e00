"""A report card to take away: as JSON, and as the README.md that PEFT and the Hugging Face Hub read.

Knows nothing of requests. The model card counts what was learned from and never quotes it; only the JSON
that the owner asks for by itself holds the side-by-side samples, which are their own messages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings

from alignapp.adapters.headline import estimate, headline
from personalization import __version__
from personalization.statistics import Estimate

if TYPE_CHECKING:
    from alignapp.adapters.models import Artifact

FORMAT = 1
README, CARD = "README.md", "report_card.json"
EMBEDDED_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
LOADING = {
    "adapter": """```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{base}")
model = AutoModelForCausalLM.from_pretrained("{base}")
model = PeftModel.from_pretrained(model, "path/to/this/folder")
```

vLLM loads the folder as a LoRA request.""",
    "vector": """```python
from safetensors.torch import load_file

vectors = load_file("path/to/this/folder/steering.safetensors")  # {{"layer.14.output": (hidden size,), ...}}
```

Add each vector to the output of the layer that its name says, at every position, times the strength (1 is
what was measured).""",
}
ARMS = {
    "base": "Base model",
    "system_message": "Base model with the person's system message",
    "artifact_likelihood": "This artifact, by likelihood alone",
    "artifact": "This artifact",
    "always_3": "Always answering 3",
    "facet_mean": "Mean of the person's other answers in the facet",
}


def as_dict(artifact: Artifact, manifest: Mapping[str, Any], *, with_samples: bool) -> dict[str, Any]:
    """Return the whole card, JSON-ready; without samples it holds none of the person's words."""
    report = getattr(artifact, "report_card", None)
    results = dict(report.results) if report else {}
    if not with_samples:
        results = {name: value for name, value in results.items() if name not in ("samples", "fresh")}
    return {
        "format": FORMAT,
        "alignapp": __version__,
        "artifact": {
            "kind": artifact.kind,
            "number": artifact.number,
            "digest": artifact.digest,
            "size_bytes": artifact.size_bytes,
            "made_at": artifact.created_at.isoformat(timespec="seconds"),
            "method": artifact.job.method,
            "parameters": manifest.get("parameters") or artifact.job.parameters,
            "base_model": base_model(),
            "model_revision": artifact.model_revision,
        },
        "training_data": _counts(artifact, manifest),
        "state": artifact.state,
        "proven": bool(report and report.proven),
        "headline": headline(results),
        "verdict": report.verdict if report else "",
        "results": results,
    }


def as_json(artifact: Artifact, manifest: Mapping[str, Any], *, with_samples: bool) -> bytes:
    """Return `as_dict` as indented JSON."""
    card = as_dict(artifact, manifest, with_samples=with_samples)
    return json.dumps(card, indent=2, ensure_ascii=False, default=str).encode() + b"\n"


def as_readme(artifact: Artifact, manifest: Mapping[str, Any]) -> bytes:
    """Return the model card in the Hub's format: YAML front matter, then sections."""
    card = as_dict(artifact, manifest, with_samples=False)
    return f"---\n{_yaml(_front(artifact, card))}---\n\n{_body(artifact, card)}".encode()


def files_of(artifact: Artifact, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """Return what a download carries beside the sealed files, by name."""
    return {
        README: as_readme(artifact, manifest),
        CARD: as_json(artifact, manifest, with_samples=False),
    }


def base_model() -> str:
    """Return the base model's name on the Hub; of a local folder the folder's name only."""
    if settings.ALIGN_MODEL == "embedded":
        return EMBEDDED_HUB_ID
    name = str(settings.ALIGN_MODEL)
    return name.rstrip("/").rpartition("/")[2] if name.startswith(("/", ".", "~")) else name


def _counts(artifact: Artifact, manifest: Mapping[str, Any]) -> dict[str, int]:
    records = manifest.get("records")
    split = artifact.job.split
    return {
        "records": len(records) if isinstance(records, list) else 0,
        "conversations": len(split.get("train", ())),
        "held_out_conversations": len(split.get("held_out", ())),
    }


def _front(artifact: Artifact, card: Mapping[str, Any]) -> dict[str, Any]:
    is_adapter = artifact.kind == "adapter"
    tags = ["alignapp", "personal-alignment", str(artifact.job.method)]
    tags += [f"base_model:adapter:{base_model()}", "lora"] if is_adapter else ["steering-vector"]
    front: dict[str, Any] = {
        "base_model": base_model(),
        "library_name": "peft" if is_adapter else "alignapp",
        "pipeline_tag": "text-generation",
        "license": "other",
        "license_name": "personal-data",
        "tags": tags,
    }
    if metrics := _metrics(card["results"]):
        dataset = {"name": "Held-out feedback of one person", "type": "private"}
        task = {"type": "text-generation", "name": "Preference of one person"}
        result = {"task": task, "dataset": dataset, "metrics": metrics}
        front["model-index"] = [{"name": str(artifact), "results": [result]}]
    return front


def _metrics(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": kind, "name": name, "value": round(found.value, 4)}
        for kind, name, found in _rows(results)
        if found.n
    ]


def _rows(results: Mapping[str, Any]) -> list[tuple[str, str, Estimate]]:
    """Return (metric type, name, estimate) of everything that has an interval, the artifact's own first."""
    rows: list[tuple[str, str, Estimate | None]] = []
    accuracy, error = results.get("accuracy") or {}, results.get("error") or {}
    for arm in sorted(accuracy, key=lambda arm: arm != "artifact"):
        rows.append(("accuracy", f"Held-out preference accuracy, {_arm(arm)}", estimate(accuracy[arm])))
    for arm in sorted(error, key=lambda arm: arm != "artifact"):
        rows.append(("mae", f"Error on held-out answers, {_arm(arm)}", estimate(error[arm])))
    rows.append(("difference", "Difference to the base model", estimate(results.get("difference"))))
    for arm, found in (results.get("calibration") or {}).items():
        rows.append(("brier", f"Brier score, {_arm(arm)}", estimate(found.get("brier"))))
        rows.append(("ece", f"Expected calibration error, {_arm(arm)}", estimate(found.get("ece"))))
    writing = results.get("writing") or {}
    for key, name in (("relevance", "Change of relevance"), ("repetition", "Change of repetition")):
        rows.append((f"{key}_change", name, estimate(writing.get(f"{key}_change"))))
    gate = results.get("safety") or {}
    for key, name in (("refusal", "refusal of harmful"), ("acceptance", "acceptance of harmless")):
        rows.append((f"{key}_change", f"Change of {name} requests", estimate(gate.get(f"{key}_change"))))
    return [(kind, name, found) for kind, name, found in rows if found is not None]


def _arm(arm: str) -> str:
    return ARMS.get(arm, arm.replace("_", " ")).lower()


def _body(artifact: Artifact, card: Mapping[str, Any]) -> str:
    results, data = card["results"], card["training_data"]
    loading = LOADING["adapter" if artifact.kind == "adapter" else "vector"].format(base=base_model())
    return f"""# {artifact}

{card["headline"] or "It has not met held-out feedback yet."}

## What it is

{_what(artifact, card)}

## Personal data

**This was learned from one person and is personal data about them.** It can reveal what they like and how
they write. Do not publish it or give it away without their consent; delete it when they ask. It is meant to
answer that one person, and says nothing about anybody else.

## Training data

{data["records"]} records of feedback from {data["conversations"]} conversations of one person.
{data["held_out_conversations"]} more conversations were held out: nothing learned from them.
The text of neither is part of this card or of these files.

## Evaluation

{_evaluation(results)}

{card["verdict"]}

## Compared with

{_compared(results)}

## What it costs, and safety

{_costs(results)}

## How to load

{loading}

`manifest.json` names the records by id, the hash of every file and the base model. `{CARD}` holds every
number.
"""


def _what(artifact: Artifact, card: Mapping[str, Any]) -> str:
    kind = {"adapter": "A LoRA adapter in PEFT's format", "vector": "A steering vector learned from ratings"}
    about = kind.get(artifact.kind, "A steering vector learned from a personality inventory")
    parameters = ", ".join(f"{name} {value}" for name, value in card["artifact"]["parameters"].items())
    return (
        f"{about}, learned by `{artifact.job.method}` ({parameters or 'usual parameters'}) with alignapp "
        f"{__version__} for `{base_model()}`, revision `{artifact.model_revision}`. State: {artifact.state}."
    )


def _evaluation(results: Mapping[str, Any]) -> str:
    rows = _rows(results)
    if not rows:
        return "Not measured."
    head = "| metric | value | 95 % interval | n |\n|---|---|---|---|\n"
    lines = [
        f"| {name} | {found.value:.3f} | {_interval(found)} | {found.n or '-'} |"
        for _kind, name, found in rows
    ]
    return head + "\n".join(lines)


def _interval(found: Estimate) -> str:
    ends = (found.low, found.high)
    if any(abs(end) == float("inf") for end in ends):
        return "cannot be estimated"
    return f"{found.low:.3f} to {found.high:.3f}"


def _compared(results: Mapping[str, Any]) -> str:
    arms = [arm for arm in (results.get("accuracy") or results.get("error") or {}) if arm != "artifact"]
    if not arms:
        return "Nothing yet."
    return "\n".join(f"- {ARMS.get(arm, arm.replace('_', ' '))}" for arm in arms)


def _costs(results: Mapping[str, Any]) -> str:
    cost, gate, lines = results.get("cost") or {}, results.get("safety"), []
    if cost.get("perplexity_base") and cost.get("perplexity"):
        lines.append(
            f"- Perplexity on neutral text: {cost['perplexity_base']:.2f} → {cost['perplexity']:.2f}"
        )
    if cost.get("kl_to_base") is not None:
        lines.append(f"- Distance to the base model: {cost['kl_to_base']:.4f} nats per token")
    if gate is None:
        lines.append("- Safety gate: not tested")
    else:
        said = "not passed: " + str(gate["objection"]) if gate.get("objection") else "passed"
        lines.append(f"- Safety gate: {said}")
    return "\n".join(lines)


def _yaml(value: Any, indent: int = 0) -> str:
    """Write mappings and lists in block style; every scalar as JSON, which YAML reads."""
    pad = "  " * indent
    if isinstance(value, dict):
        return "".join(f"{pad}{key}:{_child(child, indent)}" for key, child in value.items())
    return "".join(
        f"{pad}- {_yaml(item, indent + 1).lstrip() if isinstance(item, dict) else _scalar(item)}"
        for item in value
    )


def _child(value: Any, indent: int) -> str:
    if isinstance(value, dict | list):
        return "\n" + _yaml(value, indent + 1)
    return " " + _scalar(value)


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
