"""Profile versions: never changed, numbered without gaps, no change lost, nothing made of nothing."""

import threading

import pytest
from django.db import close_old_connections, connection

from alignapp.profiles.models import InventoryAnswer, ProfileVersion
from alignapp.profiles.services import BY_HAND, current_profile, new_version, reset_message

BRIEF = {"chosen": [{"key": "style.brief", "importance": 4}], "own": []}
OWN = {"chosen": [], "own": [{"text": "Use metric units.", "importance": 2}]}
pytestmark = pytest.mark.django_db


def test_a_version_carries_the_other_sections_and_composes_the_message(owner):
    first = new_version(owner, "values", values=BRIEF)
    second = new_version(owner, "survey", survey={"system_string": "Be honest."})
    assert (first.number, second.number) == (1, 2)
    assert second.values == BRIEF
    assert [line["source"] for line in second.system_lines] == ["survey.system_string", "style.brief"]
    assert second.system_message.endswith("- Be honest.\n- Keep answers brief.")


def test_unchanged_content_makes_no_version(owner):
    first = new_version(owner, "values", values=BRIEF)
    assert new_version(owner, "values", values=BRIEF) == first
    assert ProfileVersion.objects.count() == 1


def test_a_version_is_never_changed(owner):
    version = new_version(owner, "values", values=BRIEF)
    version.values = OWN
    with pytest.raises(TypeError, match="never changed"):
        version.save()


def test_a_message_by_hand_survives_new_values_until_it_is_reset(owner):
    new_version(owner, "values", values=BRIEF)
    edited = new_version(owner, "message", system_message="Talk like a pirate.\n- Keep answers brief.")
    assert edited.system_edited
    assert [line["source"] for line in edited.system_lines] == [BY_HAND, "style.brief"]
    kept = new_version(owner, "values", values=OWN)
    assert kept.system_message == edited.system_message
    fresh = reset_message(owner)
    assert not fresh.system_edited
    assert "metric" in fresh.system_message
    assert fresh.number == 4


def test_two_people_have_their_own_numbers(owner, other):
    new_version(owner, "values", values=BRIEF)
    new_version(owner, "values", values=OWN)
    assert new_version(other, "values", values=OWN).number == 1
    assert current_profile(owner).number == 2


def test_answers_are_kept_once_for_each_item(owner, other):
    InventoryAnswer.keep(owner, {1: 2, 2: 3})
    InventoryAnswer.keep(owner, {2: 5})
    InventoryAnswer.keep(other, {1: 1})
    InventoryAnswer.keep(owner, {})
    assert InventoryAnswer.of(owner) == {1: 2, 2: 5}


@pytest.mark.django_db(transaction=True)
def test_changes_at_the_same_time_are_all_kept(owner):
    """Eight threads change three sections at once: every content arrives, numbers have no gap."""
    if connection.vendor == "sqlite" and "memory" in str(connection.settings_dict["NAME"]):
        pytest.skip("an in-memory SQLite has one connection; PostgreSQL and file databases show the race")
    failures = []
    gate = threading.Barrier(8)

    def change(index: int) -> None:
        try:
            gate.wait()
            if index < 3:
                content = {"values": ("values", BRIEF), "survey": ("survey", {"system_string": "Be kind."})}
                section, what = content["values" if index else "survey"]
                new_version(owner, section, **{section: what})
            else:
                new_version(owner, "personality", personality={"answers": {str(index): 3}})
        except Exception as error:
            failures.append(error)
        finally:
            close_old_connections()
            connection.close()

    threads = [threading.Thread(target=change, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    numbers = sorted(ProfileVersion.objects.values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
    last = current_profile(owner)
    assert (last.values, last.survey["system_string"]) == (BRIEF, "Be kind.")
    assert last.personality
