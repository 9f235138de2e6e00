"""Value directions that ship and those that were built here: which are read, and what outlives a build."""

from __future__ import annotations

import json

import pytest

from personalization.values import effects


def built(folder, *values: str, kind: str = "vector") -> None:
    for key in values:
        place = folder / effects.folder_name(key)
        place.mkdir(parents=True)
        manifest = {"format": effects.FORMAT, "value": key, "kind": kind}
        (place / effects.MANIFEST).write_text(json.dumps(manifest))
        (place / "weights").write_text(key)
    for name in effects.SHARED:
        (folder / name).write_text("{}")


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(effects, "SHIPPED", tmp_path / "shipped")
    built(tmp_path / "shipped" / "model", "style.brief", "style.warm")
    return tmp_path / "shipped" / "model"


def test_a_build_of_ones_own_goes_before_what_was_shipped(tmp_path, shipped):
    store = tmp_path / "store"
    assert effects.place(store, "model") == shipped
    built(store / "model", "style.formal")
    assert effects.place(store, "model") == store / "model"
    assert effects.newest(store) == store / "model"
    assert effects.newest(tmp_path / "none") is None


def test_a_first_build_adds_to_what_was_shipped_and_a_later_one_is_left_alone(tmp_path, shipped):
    store = tmp_path / "store"
    effects.unpack_shipped(store, "model")
    assert set(effects.read(store / "model")) == {"style.brief", "style.warm"}
    (store / "model" / "style-warm" / "weights").write_text("mine")
    effects.unpack_shipped(store, "model")
    assert (store / "model" / "style-warm" / "weights").read_text() == "mine"
    effects.unpack_shipped(store, "another model")
    assert not (store / "another model").exists()


def test_adapters_and_what_directions_were_made_from_do_not_ship(tmp_path):
    built(tmp_path / "made", "style.brief")
    built(tmp_path / "made", "style.lists", kind="adapter")
    (tmp_path / "made" / "pool.json").write_text("{}")
    assert effects.ship(tmp_path / "made", tmp_path / "out") == ["style.brief"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"style-brief", *effects.SHARED}


def test_a_new_direction_forgets_what_the_old_one_did_in_company(tmp_path):
    built(tmp_path, "style.brief", "style.warm")
    (tmp_path / effects.MESSAGES).write_text(json.dumps({"style.brief": 1, "style.warm": 2}))
    effects.forget_measured(tmp_path, "style.brief")
    assert json.loads((tmp_path / effects.MESSAGES).read_text()) == {"style.warm": 2}
    assert not (tmp_path / effects.COMBINED).exists()
    effects.forget_measured(tmp_path, "style.warm")
