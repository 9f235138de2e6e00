"""python -m personalization.directions: learn and measure the value directions of a base model.

`manage.py values build` calls this in a process of its own, since the web never imports torch.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from personalization.directions import messages, together
from personalization.directions.build import Study, build
from personalization.errors import AlignError
from personalization.models.base import load
from personalization.values.effects import folder_name, unpack_shipped
from personalization.values.measures import measures


def main(given: Sequence[str] | None = None) -> int:
    """Build what is asked for; 0 when all is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--model-dir", type=Path, default=Path("var/models"))
    parser.add_argument("--store", type=Path, default=Path("var/values"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--values", nargs="*", default=None, help="keys of the taxonomy; all measured ones")
    parser.add_argument("--adapter-below", type=float, default=0.75)
    parser.add_argument("--exact", action="store_true", help="no bfloat16 while choosing")
    parser.add_argument("--again", action="store_true", help="make finished ones again")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(given)
    begun = time.monotonic()

    def tell(words: str) -> None:
        sys.stderr.write(f"{time.monotonic() - begun:6.0f} s  {words}\n")
        sys.stderr.flush()

    try:
        base = load(args.model, args.model_dir, device=args.device, threads=args.threads)
        unpack_shipped(args.store, base.revision)
        keys = args.values or list(measures())
        if args.again:
            for key in keys:
                (args.store / base.revision / folder_name(key) / "manifest.json").unlink(missing_ok=True)
        asked = shlex.join(["manage.py", "values", "build", "--values", *keys])
        study = Study(base, args.store, draft=not args.exact, tell=tell)
        made = build(study, keys, command=asked, adapter_below=args.adapter_below)
        both, asked_in_words = together.measure(study), messages.measure(study)
        shutil.rmtree(study.trying, ignore_errors=True)
    except AlignError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if args.json:
        args.json.write_text(
            json.dumps(
                {"values": {m["value"]: m for m in made}, "combined": both, "messages": asked_in_words},
                indent=1,
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
