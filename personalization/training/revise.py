"""What a person says of an answer becomes pairs: the model answers again, and the better answer is preferred.

The first two steps of imitation learning from language feedback (Scheurer et al. 2023, arXiv:2303.16755):
revise with the feedback before one's eyes, then keep the best revision. There a large model says which one
that is; here the person's own comparisons do (`Judge`), and no pair is kept that they contradict. What
somebody says next without being asked counts, too (Zhang et al. 2024, arXiv:2409.13948). Knows nothing of
losses, nor of how the judge was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from personalization.models.base import BaseModel
from personalization.models.generate import short_answers
from personalization.models.prompts import encode_text
from personalization.models.reactions import follow_up_rewards, leaning
from personalization.models.relevance import relevance
from personalization.progress import Progress, Report, ignore
from personalization.records import Critique, Message, Pair
from personalization.training.online import Judge

MOST = 32  # of each kind, the latest: a revision takes some seconds of a core
DRAFTS = 4
TOGETHER = 4  # reactions whose drafts are written in one batch
NEW_TOKENS, SLACK = 128, 4  # a text that is encoded anew may have some tokens less than were drawn
AGREED = 0.2  # log-odds from which the judge agrees with a pair: it gives it 55 % or more
OFF_SUBJECT = 0.15  # cosine with the question that a preferred answer may lose: revisions tend to leave it
PROTOCOLS = {True: "revised-after-critique", False: "mined-from-follow-up"}
ASK = "Answer my question again so that this is right. Write the new answer only."


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said of an answer, and whether that is praise (1), a complaint (-1) or neither (0)."""

    words: Critique
    leans: int
    asked: bool  # whether they were asked for it, as for a critique

    def chats(self) -> list[tuple[Message, ...]]:
        """Return what the model is to answer for each draft."""
        prompt, own = self.words.prompt, self.words
        if self.leans >= 0:
            return [prompt] * DRAFTS  # nothing to mend: what else it would have said
        again = Message("user", f"{own.text}\n\n{ASK}")
        added = Message("user", f"{prompt[-1].content}\n\n{own.text}")
        # A small model looks at its last message most, a large one mends what it wrote.
        return [(*prompt, Message("assistant", own.completion), again), (*prompt[:-1], added)] * (DRAFTS // 2)


def language_pairs(
    base: BaseModel,
    critiques: Sequence[Critique],
    follow_ups: Sequence[Critique],
    judge: Judge,
    *,
    seed: int = 0,
    report: Report = ignore,
) -> tuple[Pair, ...]:
    """Return the pairs that a person's words about answers teach, those that `judge` agrees with.

    The same seed gives the same. `report` hears how many words are done and may raise.
    """
    said = [
        *_said(critiques[-MOST:], asked=True),
        *_said(follow_ups[-MOST:], asked=False),
    ]
    found: list[Pair] = []
    for at in range(0, len(said), TOGETHER):
        report(Progress(at, len(said)))
        some = said[at : at + TOGETHER]
        chats = [chat for one in some for chat in one.chats()]
        texts = short_answers(base, chats, seed=seed + at, max_new_tokens=NEW_TOKENS)
        for i, one in enumerate(some):
            drafts = [_finished(base, text) for text in texts[i * DRAFTS : (i + 1) * DRAFTS]]
            if pair := pair_of(base, one, drafts, judge):
                found.append(pair)
    return tuple(found)


def pair_of(base: BaseModel, said: Said, drafts: Sequence[str], judge: Judge) -> Pair | None:
    """Return which of the answer and the drafts is better, None where the judge does not agree.

    After a complaint a draft is preferred to the answer, after praise the answer to a draft: the draft of
    which the judge is surest. Where neither was said, the answer after which pleased words are the likeliest
    is preferred to the one after which they are the least likely. What is preferred keeps to the question.
    """
    own = said.words
    texts = [own.completion, *(t for t in dict.fromkeys(drafts) if t and t != own.completion.strip())]
    if len(texts) < 2:
        return None
    liked = judge(own.prompt, texts)
    near = relevance([own.prompt[-1].content] * len(texts), texts)
    others = range(1, len(texts))
    if said.leans < 0:
        pairs = [(i, 0) for i in others]
    elif said.leans > 0:
        pairs = [(0, i) for i in others]
    else:
        rewards = follow_up_rewards(base, own.prompt, texts)
        order = sorted(range(len(texts)), key=lambda i: rewards[i])
        pairs = [(order[-1], order[0])]
    agreed = [
        (better, worse)
        for better, worse in pairs
        if liked[better] - liked[worse] >= AGREED and near[better] >= near[worse] - OFF_SUBJECT
    ]
    if not agreed:
        return None
    better, worse = max(agreed, key=lambda pair: liked[pair[0]] - liked[pair[1]])
    protocol = PROTOCOLS[said.asked]
    return Pair(own.conversation, own.sources, own.prompt, texts[better], texts[worse], 1.0, protocol)


def whole(text: str) -> str:
    """Return a draft without the sentence in which it was cut off; as it is where it holds no other."""
    end = max(text.rfind(mark) for mark in ".!?\n")
    return text if end < 1 else text[: end + 1].strip()


def _finished(base: BaseModel, text: str) -> str:
    return whole(text) if len(encode_text(base, text)) >= NEW_TOKENS - SLACK else text


def _said(words: Sequence[Critique], *, asked: bool) -> list[Said]:
    """Tell praise from complaints; of a critique that is neither something is to be mended."""
    return [
        Said(one, leans or (-1 if asked else 0), asked)
        for one, leans in zip(words, leaning([one.text for one in words]), strict=True)
    ]
