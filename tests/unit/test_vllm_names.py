"""Names of what acts: exact, without a person in them, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.engine.vllm.names import name_of, parse
from personalization.errors import ArtifactError

digests = st.text(alphabet="0123456789abcdef", min_size=64, max_size=64)


@given(st.lists(st.tuples(digests, st.floats(-2, 2)), min_size=1, max_size=8))
def test_a_name_stands_for_exactly_what_it_was_made_of(acting):
    assert parse(name_of(acting)) == acting


def test_nothing_acts_under_no_name():
    assert name_of([]) == ""


@pytest.mark.parametrize(
    "text",
    [
        *("", "../etc", "+@", "a" * 64),
        *(f"{'a' * 64}@", f"{'a' * 64}@nan", f"{'A' * 64}@1.0", f"{'a' * 64}@1.0+"),
        "+".join(["a" * 64 + "@1.0"] * 9),
    ],
)
def test_what_is_no_name_is_refused(text):
    with pytest.raises(ArtifactError, match="names no artifacts"):
        parse(text)
