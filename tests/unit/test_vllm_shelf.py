"""What a server keeps at hand: never less than what answers hold, and no more than there is room for."""

from __future__ import annotations

from contextlib import ExitStack

from hypothesis import given
from hypothesis import strategies as st

from personalization.engine.vllm.shelf import Shelf


def test_the_least_recently_used_that_nobody_holds_goes_first():
    shelf = Shelf(2)
    for name in "abc":
        with shelf.holding(name):
            shelf.put(name, 1)
    with shelf.holding("a"):
        assert shelf.take_surplus() == ["b"]
    assert ("a" in shelf, "b" in shelf, "c" in shelf) == (True, False, True)


def test_what_was_deleted_goes_when_nobody_holds_it_and_comes_back_when_it_is_asked_for_again():
    shelf = Shelf(10)
    with shelf.holding("one@1.0+two@1.0"):
        shelf.put("one@1.0+two@1.0", 1)
        shelf.delete(["two"])
        assert shelf.take_surplus() == []
    assert shelf.take_surplus() == ["one@1.0+two@1.0"]
    with shelf.holding("one@1.0"):
        shelf.put("one@1.0", 1)
        shelf.delete(["one"])
        with shelf.holding("one@1.0"):
            pass
    assert shelf.take_surplus() == []


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=40), st.integers(0, 9))
def test_a_name_that_is_held_stays_and_the_rest_fits(steps, limit):
    shelf, sizes = Shelf(limit), {name: 1 + place for place, name in enumerate("abcdef")}
    with ExitStack() as kept:
        held = set()
        for name, is_kept in steps:
            with shelf.holding(name):
                shelf.put(name, sizes[name])
            if is_kept:
                kept.enter_context(shelf.holding(name))
                held.add(name)
            shelf.take_surplus()
            left = {each for each in sizes if each in shelf}
            assert held <= left
            assert sum(sizes[each] for each in left - held) <= max(0, limit - sum(sizes[h] for h in held))
