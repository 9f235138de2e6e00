"""Artifacts in the panel: found, shown without words, acted on and undone, compared, merged, pruned."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from itertools import combinations

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from alignapp.accounts.consent import give_consent
from alignapp.accounts.models import Person
from alignapp.adapters import acts, comparison, options, services, store
from alignapp.adapters.aliases import active_ids
from alignapp.adapters.models import Artifact, Job, KnownModel, MergeWay
from alignapp.audit.models import AuditEvent
from tests.web import learned
from tests.web.operating import signed_in_with
from tests.web.programs import operators_program

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator():
    return signed_in_with("operator", Person.objects.create_user("me@example.org", "a long pass phrase"))


def act(client, artifact, name, reason="because"):
    return client.post(
        reverse("panel:adapter_act", args=[artifact.pk, name]), {"reason": reason}, follow=True
    )


def test_the_list_costs_the_same_however_long_it_is_and_is_narrowed(
    operator, owner, other, django_assert_max_num_queries
):
    made = [learned.artifact(owner, proven=None) for _ in range(52)]
    Artifact.objects.filter(pk=made[0].pk).update(state="quarantined")
    Artifact.objects.filter(pk=made[1].pk).update(damage="adapter_model.safetensors was changed.")
    foreign = learned.artifact(other, "steer")
    with django_assert_max_num_queries(10):
        page = operator.get(reverse("panel:adapters"))
    assert len(page.context["rows"]) == 50
    rest = operator.get(f"{reverse('panel:adapters')}?{page.context['listing'].next_query}")
    assert len(rest.context["rows"]) == 3
    for query, found in [
        ({"person": other.pseudonym}, foreign),
        ({"kind": "vector"}, foreign),
        ({"method": "steer"}, foreign),
        ({"state": "quarantined"}, made[0]),
        ({"damaged": "1"}, made[1]),
    ]:
        rows = operator.get(reverse("panel:adapters"), query).context["rows"]
        assert [artifact for artifact, _ in rows] == [found]
    empty = operator.get(reverse("panel:adapters"), {"model": "none"}).content.decode()
    assert "No version fits" in empty


def test_one_shows_where_it_comes_from_and_nobodys_words(operator, owner):
    parents = [learned.artifact(owner), learned.artifact(owner)]
    merged = learned.artifact(owner)
    merged.parents.set(parents)
    html = operator.get(reverse("panel:adapter", args=[merged.pk])).content.decode()
    assert "2 records" in html
    assert reverse("panel:adapter", args=[parents[0].pk]) in html
    assert "safety gate passed" in html
    assert "short" not in html  # an answer of the card's samples
    assert owner.email not in html
    assert owner.pseudonym in html


def test_a_bad_adapter_is_found_quarantined_undone_and_rolled_back(operator, owner):
    good, bad = learned.artifact(owner), learned.artifact(owner)
    act(operator, good, "promote")
    page = act(operator, bad, "promote", "newer")
    assert f"{bad} is active now." in page.content.decode()
    assert active_ids({owner.pk}) == {bad.pk}
    undo = page.context["undo"]
    operator.post(undo.url, undo.fields)
    assert active_ids({owner.pk}) == {good.pk}
    act(operator, bad, "promote", "again")
    page = act(operator, bad, "quarantine", "people complain")
    assert active_ids({owner.pk}) == {good.pk}
    assert "Adapter or vector put into quarantine" in page.content.decode()
    assert "people complain" in page.content.decode()
    refused = act(operator, bad, "promote", "typed already")
    assert refused.status_code == 400
    assert "typed already" in refused.content.decode()
    assert "is quarantined and cannot be switched on" in refused.content.decode()
    assert act(operator, bad, "promote", " ").status_code == 400
    seen = AuditEvent.objects.filter(subject=owner, verb="artifact.quarantined").get()
    assert seen.reason == "people complain"


def test_an_auditor_reads_and_verifies_but_has_no_buttons(owner):
    client = signed_in_with("auditor", Person.objects.create_user("audit@example.org", "a long pass phrase"))
    artifact = learned.artifact(owner)
    (store.folder_of(artifact) / "adapter_model.safetensors").write_bytes(b"planted")
    html = client.post(reverse("panel:adapter_verify", args=[artifact.pk]), follow=True).content.decode()
    assert "were changed" in html
    assert "formaction" not in html
    assert act(client, artifact, "pin").status_code == 403


def test_dangerous_acts_ask_for_the_code_again(owner):
    stale = Person.objects.create_user("stale@example.org", "a long pass phrase")
    client = signed_in_with("operator", stale, fresh=False)
    artifact = learned.artifact(owner)
    url = reverse("panel:adapter_act", args=[artifact.pk, "promote"])
    assert client.post(url, {"reason": "now"}).status_code == 302
    assert active_ids({owner.pk}) == set()


def test_what_is_damaged_is_told_on_the_overview_and_offered_neither_promoting_nor_restoring(operator, owner):
    fine, damaged = learned.artifact(owner), learned.artifact(owner)
    overview = reverse("panel:overview")
    assert "were changed or are missing" not in operator.get(overview).content.decode()
    (store.folder_of(damaged) / "adapter_model.safetensors").write_bytes(b"other weights")
    operator.post(reverse("panel:adapter_verify", args=[damaged.pk]))
    told = operator.get(overview).content.decode()
    assert "The files of 1 version were changed or are missing" in told
    assert f"{reverse('panel:adapters')}?damaged=1" in told
    for artifact, offered in ((fine, True), (damaged, False)):
        page = operator.get(reverse("panel:adapter", args=[artifact.pk])).content.decode()
        assert (reverse("panel:adapter_act", args=[artifact.pk, "promote"]) in page) is offered
    acts.quarantine("terminal", damaged, "its files were changed")
    page = operator.get(reverse("panel:adapter", args=[damaged.pk])).content.decode()
    assert reverse("panel:adapter_act", args=[damaged.pk, "restore"]) not in page
    found = operators_program().ask("artifacts?damaged=true").json()["data"]
    assert [one["id"] for one in found] == [str(damaged.pk)]
    out = StringIO()
    call_command("adapters", "list", "--damaged", "--json", stdout=out)
    assert [one["id"] for one in json.loads(out.getvalue())] == [str(damaged.pk)]


def test_what_the_gate_objects_to_is_not_offered_to_be_restored(operator, owner):
    unsafe, put_aside = learned.artifact(owner, safe=False), learned.artifact(owner)
    act(operator, put_aside, "quarantine")
    for artifact, is_offered in ((unsafe, False), (put_aside, True)):
        artifact.refresh_from_db()
        assert artifact.state == "quarantined"
        page = operator.get(reverse("panel:adapter", args=[artifact.pk])).content.decode()
        assert (reverse("panel:adapter_act", args=[artifact.pk, "restore"]) in page) == is_offered


def test_whoever_must_enter_the_password_is_told_before_a_reason_is_typed(owner):
    stale = Person.objects.create_user("stale@example.org", "a long pass phrase")
    page = signed_in_with("operator", stale, fresh=False).get(
        reverse("panel:adapter", args=[learned.artifact(owner).pk])
    )
    assert "Enter your password first, to act" in page.content.decode()
    assert "Quarantine" not in page.content.decode()


def test_several_are_compared_and_a_worker_fills_the_heat_map_in(operator, owner):
    one, two = learned.artifact(owner), learned.artifact(owner)
    url = f"{reverse('panel:compare')}?id={one.pk}&id={two.pk}"
    html = operator.get(url).content.decode()
    assert "A worker compares the weights" in html
    assert html.count("68 %") == 2
    assert "20.0 → 21.0" in html  # what each costs
    assert "Safety gate" in html
    row = {"layer": 3, "first": 0, "second": 1, "cosine": -0.5, "sign_conflict": 0.8, "overlap": 0.1}
    comparison.keep([one, two], {"rows": [row]})
    part = operator.get(url + "&part=weights").content.decode()
    assert "pull-2" in part
    assert "-0.50" in part
    assert operator.get(reverse("panel:compare"), {"id": "x"}).status_code == 404


def measured(value: float, low: float | None = None, high: float | None = None) -> dict:
    return {"value": value, "n": 12, "low": low, "high": high}


def of(person: Person, own: list[int], *shares: float, personal: dict | None = None) -> dict:
    """Return what a worker tells of artifacts on what one person held out, the base model first."""
    differences = [
        {"first": i, "second": j, "gain": measured(0.25, 0.1, 0.4), "p": 0.012}
        for i, j in combinations(range(len(shares)), 2)
    ]
    accuracy = [measured(share, share - 0.1, share + 0.1) for share in shares]
    told = {"conversations": 6, "accuracy": accuracy, "differences": differences, "personal": personal}
    return {"person": person.pseudonym, "own": own, **told}


def test_the_same_held_out_comparisons_are_put_to_all_of_one_person_by_a_worker(operator, owner):
    one, two = sorted([learned.artifact(owner), learned.artifact(owner)], key=lambda a: str(a.pk))
    url = f"{reverse('panel:compare')}?id={one.pk}&id={two.pk}"
    running = Job.objects.create(person=owner, method="kto", state="running", phase="learn", progress=0.43)
    waits = operator.get(url).content.decode()
    assert "Queued. A training worker puts the same comparisons" in waits
    assert f'{running}</a> <span class="nowrap">(43 %)' in waits
    comparison.tell([two, one], comparison.HELD_OUT, 1, 3)
    assert "1 of 3 readings are done" in operator.get(url + "&part=held_out").content.decode()
    comparison.keep([one, two], {"people": [of(owner, [1, 2], 0.5, 0.75, 0.9)]}, comparison.HELD_OUT)
    part = operator.get(url + "&part=held_out").content.decode()
    assert "12 clear comparisons of 6 conversations that taught none of them" in part
    assert f"{two} minus {one}" in part
    assert "hx-get" not in part
    comparison.keep([one, two], {"rows": []})
    told = operators_program().ask(f"artifacts/compare?artifact={one.pk}&artifact={two.pk}").json()
    assert told["waits"] == []
    assert told["held_out"]["people"][0]["pairs"][2]["points"] == "+25"
    out = StringIO()
    call_command("adapters", "compare", str(two.pk), str(one.pk), "--wait", "0", "--json", stdout=out)
    assert json.loads(out.getvalue())["held_out"] == told["held_out"]


def test_several_peoples_are_put_to_what_each_held_out_so_that_one_sees_what_is_personal(
    operator, owner, other
):
    one, two = sorted([learned.artifact(owner), learned.artifact(other)], key=lambda a: str(a.pk))
    whose, others = one.person, two.person
    gain = measured(0.3, 0.12, 0.44)
    told = [of(whose, [1], 0.5, 0.8, 0.6, personal=gain), {"person": others.pseudonym, "own": [2]}]
    told[1]["problem"] = "Every conversation with a clear comparison taught one of them."
    comparison.keep([one, two], {"people": told}, comparison.HELD_OUT)
    url = f"{reverse('panel:compare')}?id={one.pk}&id={two.pk}&part=held_out"
    part = operator.get(url).content.decode()
    assert f'Held out by <span class="nowrap">{whose.pseudonym}' in part
    assert f'Held out by <span class="nowrap">{others.pseudonym}' not in part
    assert f"{others.pseudonym}: Every conversation" in part
    assert part.count(">own<") == 1
    assert "<strong>+30</strong>" in part
    vectors = [learned.artifact(person, "steer") for person in (owner, other)]
    whole = operator.get(reverse("panel:compare"), {"id": [vector.pk for vector in vectors]})
    assert "can be merged only" not in whole.content.decode()  # nobody asked to merge vectors
    assert "+12 to +44" in part
    out = StringIO()
    call_command("adapters", "compare", str(one.pk), str(two.pk), "--wait", "0", stdout=out)
    assert "Own minus others': +30 points, +12 to +44" in out.getvalue()


def test_one_alone_is_compared_with_the_base_model_and_others_are_added_by_digest(operator, owner, other):
    one = learned.artifact(owner)
    comparison.keep([one], {"people": [of(owner, [1], 0.5, 0.75)]}, comparison.HELD_OUT)
    html = operator.get(reverse("panel:compare"), {"id": one.pk}).content.decode()
    assert f"{one} minus Base model" in html
    assert "Merge them" not in html
    assert operator.get(reverse("panel:compare")).status_code == 302
    two = learned.artifact(other)
    found = operator.get(reverse("panel:compare"), {"id": one.pk, "add": two.digest[:8]}, follow=True)
    assert found.context["artifacts"] == [one, two]
    missing = operator.get(reverse("panel:compare"), {"id": one.pk, "add": "0" * 12}, follow=True)
    assert "No artifact has the id or digest" in missing.content.decode()
    assert operators_program().ask(f"artifacts/compare?artifact={one.pk}").json()["waits"] == []


def test_a_version_is_proven_again_by_page_terminal_and_api_and_not_at_its_persons_cost(operator, owner):
    learned.methods()
    learned.ready(owner)
    made = learned.artifact(owner)
    known = KnownModel.objects.create(
        spec="/models/new", name="new", revision="new@2", state="passed", added_by="terminal"
    )
    url = reverse("panel:prove", args=[made.pk])
    page = operator.get(reverse("panel:adapter", args=[made.pk])).content.decode()
    assert url in page
    assert f'<option value="{known.revision}"' in page
    refused = operator.post(url, {"reason": "why", "base": "nowhere@1"})
    assert refused.status_code == 400
    assert 'value="why"' in refused.content.decode()
    done = operator.post(url, {"reason": "more was said", "base": ""}, follow=True)
    assert "The proof is queued, number 1 in the queue" in done.content.decode()
    assert f'href="{reverse("panel:adapter", args=[made.pk])}"' in done.content.decode()
    program = operators_program()
    assert program.ask(f"artifacts/{made.pk}/prove", {"reason": "again"}).status_code == 400
    out = StringIO()
    there = ("--base", known.revision, "--reason", "does it help there?", "--json")
    call_command("adapters", "prove", made.digest[:12], *there, stdout=out)
    (told,) = json.loads(out.getvalue())
    assert Job.objects.get(pk=told["job"]).base_revision == known.revision
    Job.objects.filter(method="prove").update(state="done")
    sent = program.ask(f"artifacts/{made.pk}/prove", {"reason": "again"})
    assert (sent.status_code, sent.json()["method"]) == (200, "prove")
    options.change("jobs.per_day", 2, by="terminal", reason="the GPU is away")  # its own job was the first
    assert services.start_job(owner, "dpo").state == "queued"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": "not_proven"}, "its person may switch it on without evidence"),
        ({"state": "candidate"}, "once it is proven"),
        ({"state": "quarantined"}, "it is out of service"),
        ({"damage": "a file was changed"}, "its files are damaged"),
    ],
)
def test_what_cannot_be_promoted_says_why(operator, owner, fields, words):
    one = learned.artifact(owner)
    page = reverse("panel:adapter", args=[one.pk])
    assert "Not to be promoted" not in operator.get(page).content.decode()
    Artifact.objects.update(**fields)
    told = operator.get(page).content.decode()
    assert f"Not to be promoted: {words}" in told
    assert reverse("panel:adapter_act", args=[one.pk, "promote"]) not in told


def test_parameters_stand_together_and_are_not_taken_for_facts(operator, owner):
    one = learned.artifact(owner)
    Artifact.objects.update(summary={"rank": 16, "parameters": {"way": "tsvm", "rank": 24}})
    told = operator.get(reverse("panel:adapter", args=[one.pk])).content.decode()
    assert "<dt>Rank</dt><dd>16</dd>" in told
    assert "<dt>Parameters</dt><dd>way = tsvm; rank = 24</dd>" in told


def test_a_merge_is_queued_with_a_reason_and_what_was_typed_stays_where_it_is_refused(operator, owner):
    give_consent(owner)
    MergeWay.objects.create(
        name="ties",
        summary="Trim.",
        paper="p",
        parameters={"density": {"default": 0.3, "low": 0.01, "high": 1}},
    )
    one, two = learned.artifact(owner), learned.artifact(owner)
    form = {"id": [one.pk, two.pk], "way": "ties", "density": "7", "reason": "both contexts"}
    form |= {f"weight-{one.pk}": "0.25", f"weight-{two.pk}": "1"}
    refused = operator.post(reverse("panel:merge"), form)
    html = refused.content.decode()
    assert refused.status_code == 400
    for name, value in ((f"weight-{one.pk}", "0.25"), ("density", "7"), ("reason", "both contexts")):
        assert refused.context["merge_form"][name].value() == value
    assert (
        '<ul class="errorlist" id="merge-density_error"><li>With ties it must lie between 0.01 and 1.' in html
    )
    assert html.count("autofocus") == 1
    assert html.count("both contexts") == 1  # in the form that was sent, not in the one beside it
    done = operator.post(
        reverse("panel:merge"), {**form, "density": "", f"weight-{one.pk}": "0.5"}, follow=True
    )
    assert "The merge is queued" in done.content.decode()
    job = Job.objects.get(method="merge")
    assert done.redirect_chain[-1][0] == reverse("panel:job", args=[job.pk])  # where it is followed
    assert {each["weight"] for each in job.parameters["parents"]} == {0.5, 1.0}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("weight", "a lot", "Enter a number."),
        ("weight", "nan", "Enter a number."),
        ("weight", "9", "less than or equal to 3"),
        ("weight", "0", "0 leaves it out"),
        ("weight", "", "This field is required."),
        ("density", "half", "Enter a number."),
        ("rank", "4", "ties has no such number"),
        ("way", "magic", "Select a valid choice"),
        ("reason", " ", "This field is required."),
    ],
)
def test_what_is_wrong_with_a_merge_stands_beside_it(operator, owner, field, value, words):
    give_consent(owner)
    number = {"default": 0.3, "low": 0.01, "high": 1}
    MergeWay.objects.create(name="ties", summary="Trim.", paper="p", parameters={"density": number})
    MergeWay.objects.create(name="svd", summary="SVD.", paper="p", parameters={"rank": {**number, "high": 9}})
    one, two = learned.artifact(owner), learned.artifact(owner)
    name = f"weight-{one.pk}" if field == "weight" else field
    form = {"id": [one.pk, two.pk], "way": "ties", "reason": "both contexts"}
    form |= {f"weight-{one.pk}": "0.25", f"weight-{two.pk}": "1", name: value}
    refused = operator.post(reverse("panel:merge"), form)
    assert refused.status_code == 400
    assert [*refused.context["merge_form"].errors] == [name]
    assert words in refused.content.decode()
    assert not Job.objects.filter(method="merge").exists()


def test_pruning_deletes_what_was_counted_and_nothing_else(operator, owner):
    made = [learned.artifact(owner) for _ in range(4)]
    acts.pin("operator", made[0], "evidence")
    Artifact.objects.update(created_at=timezone.now() - timedelta(days=100))
    page = operator.get(reverse("panel:prune"), {"days": 90, "keep": 2})
    assert page.context["doomed"] == [made[1]]
    too_long = operator.get(reverse("panel:prune"), {"days": 10**12})
    assert "at most 36,500 days" in too_long.content.decode()
    assert f'value="{10**12}"' in too_long.content.decode()
    form = {"days": 90, "keep": 2, "reason": "disk"}
    for wrong, field in (({"count": "2"}, "count"), ({"count": "1", "reason": " "}, "reason")):
        refused = operator.post(reverse("panel:prune_now"), {**form, **wrong})
        assert refused.status_code == 400
        assert [*refused.context["errors"]] == [field]
        assert f'id="{field}-error"' in refused.content.decode()
        assert f'name="count" value="{wrong["count"]}"' in refused.content.decode()
    assert Artifact.objects.count() == 4
    operator.post(reverse("panel:prune_now"), {**form, "count": "1"})
    assert set(Artifact.objects.all()) == {made[0], made[2], made[3]}


def test_the_persons_own_pages_show_a_merge_job_and_what_came_of_it(owner, client_of):
    job = Job.objects.create(person=owner, method="merge", parameters={"way": "cat", "parents": []})
    client = client_of(owner)
    assert client.get(reverse("adapters:job", args=[job.pk])).status_code == 200
    assert client.get(reverse("adapters:jobs")).status_code == 200
    made = learned.artifact(owner)
    Job.objects.filter(pk=made.job_id).update(method="merge")
    assert client.get(reverse("adapters:artifact", args=[made.pk])).status_code == 200
