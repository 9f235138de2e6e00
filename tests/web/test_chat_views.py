"""The chat's pages and addresses: who may use them, what they answer, what they never tell."""

import json
import re
import uuid

import pytest
from django.urls import reverse

from alignapp.chat.models import Conversation, Reply, Turn
from alignapp.chat.urls import urlpatterns
from tests.web.rows import answered_turn, conversation_of

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
GET_ONLY = {"list", "conversation", "export", "turn", "events"}


@pytest.fixture
def turn(owner):
    turn, _ = answered_turn(conversation_of(owner), "The first answer", "The second answer")
    return turn


def _address(name: str, turn: Turn) -> str:
    ids = {"conversation_id": turn.conversation_id, "turn_id": turn.id, "reply_id": turn.replies.first().id}
    pattern = next(p for p in urlpatterns if p.name == name)
    wanted = {key: value for key, value in ids.items() if key in str(pattern.pattern)}
    return reverse(f"chat:{name}", kwargs=wanted)


@pytest.mark.parametrize("name", [p.name for p in urlpatterns if "<uuid" in str(p.pattern)])
def test_a_foreign_id_answers_404_and_changes_nothing(name, turn, other, client_of):
    before = list(Reply.objects.values()), list(Turn.objects.values()), Conversation.objects.count()
    method = "get" if name in GET_ONLY else "post"
    response = getattr(client_of(other), method)(_address(name, turn), {"text": "mine", "title": "mine"})
    assert response.status_code == 404
    assert (list(Reply.objects.values()), list(Turn.objects.values()), Conversation.objects.count()) == before


@pytest.mark.parametrize("name", [p.name for p in urlpatterns])
def test_an_outsider_is_asked_to_sign_in(name, turn, client_of):
    method = "get" if name in GET_ONLY else "post"
    response = getattr(client_of(None), method)(_address(name, turn))
    assert response.status_code == (401 if name == "events" else 302)


@pytest.mark.parametrize("name", [p.name for p in urlpatterns if p.name not in GET_ONLY | {"delete"}])
def test_nothing_changes_by_get(name, turn, owner, client_of):
    assert client_of(owner).get(_address(name, turn)).status_code == 405


def test_a_first_message_opens_a_conversation_with_its_candidates(owner, client_of):
    response = client_of(owner).post(
        reverse("chat:new"), {"kind": "values", "text": "What is fair?", "personalised": "on"}
    )
    conversation = Conversation.objects.get()
    assert response["Location"] == f"/chat/{conversation.id}/"
    assert (conversation.title, conversation.kind) == ("What is fair?", "values")
    assert conversation.personalised
    assert not conversation.for_training
    assert Reply.objects.filter(status="queued").count() == 4


def test_a_first_message_that_is_refused_stands_in_the_page_and_leaves_no_conversation(
    owner, client_of, settings
):
    settings.MAX_PROMPT_CHARACTERS = 5
    response = client_of(owner).post(reverse("chat:new"), {"kind": "unguided", "text": "far too long"})
    assert response.status_code == 400
    assert b"far too long" in response.content
    assert b"Shorten it by 7" in response.content
    assert not Conversation.objects.exists()


@pytest.mark.parametrize("blank", ["", " \n "])
def test_a_first_message_without_words_opens_no_conversation(owner, client_of, blank):
    response = client_of(owner).post(reverse("chat:new"), {"kind": "unguided", "text": blank})
    assert response.status_code == 400
    assert b"Write something first." in response.content
    assert not Conversation.objects.exists()


@pytest.mark.parametrize("kept", ["personalised", "for_training"])
def test_a_refused_first_message_keeps_what_was_said_of_training(owner, client_of, kept, settings):
    settings.MAX_PROMPT_CHARACTERS = 5
    form = {"kind": "unguided", "text": "far too long", kept: "on"}
    html = client_of(owner).post(reverse("chat:new"), form).content.decode()
    fresh = client_of(owner).get(reverse("chat:list")).content.decode()
    for name in ("personalised", "for_training"):
        assert (f'name="{name}" checked>' in html) == (name == kept)
        assert f'name="{name}" checked>' in fresh


def test_the_next_message_is_sent_as_a_fragment_as_json_and_without_scripts(turn, owner, client_of):
    client, send = client_of(owner), _address("send", turn)
    refused = client.post(send, {"text": "next"}, headers=HTMX)
    assert refused.status_code == 400
    assert "Pick the answer" in json.loads(refused.content)["error"]
    turn.choose(turn.replies.first())
    fragment = client.post(send, {"text": "next", "after": str(turn.id)}, headers=HTMX)
    assert fragment.status_code == 200
    assert b"<html" not in fragment.content
    assert b"data-running" in fragment.content
    as_json = client.post(
        send, {"text": "again", "after": str(turn.id)}, headers={"Accept": "application/json"}
    )
    assert as_json.status_code == 201
    assert len(as_json.json()["replies"]) == 2
    plain = client.post(send, {"text": "third", "after": str(turn.id)})
    assert plain.status_code == 302
    assert Turn.objects.filter(parent__turn=turn).count() == 3


def test_more_than_the_limit_answers_429_and_keeps_the_text(owner, client_of, settings):
    settings.REPLIES_PER_MINUTE = 4
    client = client_of(owner)
    client.post(reverse("chat:new"), {"kind": "unguided", "text": "one"})
    response = client.post(reverse("chat:new"), {"kind": "unguided", "text": "the second text"})
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
    assert b"the second text" in response.content
    assert Reply.objects.count() == 4


def test_an_unknown_place_to_go_on_from_answers_404(turn, owner, client_of):
    for after in ("nonsense", str(uuid.uuid4())):
        response = client_of(owner).post(_address("send", turn), {"text": "x", "after": after})
        assert response.status_code == 404
    page = _address("conversation", turn)
    assert client_of(owner).get(page, {"turn": "nonsense"}).status_code == 404


def test_a_blind_turn_never_tells_who_made_what(turn, owner, client_of):
    client = client_of(owner)
    for response in (
        client.get(_address("conversation", turn)),
        client.get(_address("turn", turn), headers=HTMX),
        client.get(_address("export", turn)),
    ):
        text = response.content.decode()
        assert "The first answer" in text
        for word in ("Base model", "With your system message", "Be brief.", '"seed"', '"maker"'):
            assert word not in text
    client.post(_address("reveal", turn))
    assert b"With your system message" in client.get(_address("conversation", turn)).content


def test_what_shaped_an_answer_is_shown_once_it_is_revealed(turn, owner, client_of):
    turn.reveal()
    turn.replies.update(first_token_ms=1234, duration_ms=50_360)
    text = client_of(owner).get(_address("conversation", turn)).content.decode()
    assert "What shaped this" in text
    assert "after 1.23 s" in text
    assert "50.4 s" in text
    assert "seed 0" in text
    assert "Be brief." in text


def test_what_shaped_an_answer_leads_to_its_report_card(turn, owner, client_of):
    turn.reveal()
    part = {"artifact": str(uuid.uuid4()), "digest": "abcdef" * 10, "kind": "adapter", "strength": 0.8}
    turn.replies.update(interventions=[part])
    text = client_of(owner).get(_address("conversation", turn)).content.decode()
    address = reverse("adapters:artifact", args=[part["artifact"]])
    assert re.search(rf'<dt>Adapter</dt><dd><a href="{address}"[^>]*>report card of abcdefabcd</a>', text)


def test_text_of_people_and_models_is_escaped(owner, client_of):
    attack = "<script>alert(1)</script>"
    turn, _ = answered_turn(conversation_of(owner, title=attack), attack, text=attack)
    turn.reveal()
    text = client_of(owner).get(_address("conversation", turn)).content.decode()
    assert attack not in text
    assert "&lt;script&gt;alert(1)" in text


def test_pages_hold_no_inline_script_style_or_handler(turn, owner, client_of):
    turn.reveal()
    for address in (reverse("chat:list"), _address("conversation", turn), reverse("feedback:list")):
        text = client_of(owner).get(address).content.decode()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|<script(?![^>]*\ssrc=)", text)


def test_branches_can_be_walked(turn, owner, client_of):
    other_branch, _ = answered_turn(turn.conversation, "From the other branch", text="Changed")
    client, page = client_of(owner), _address("conversation", turn)
    newest = client.get(page).content.decode()
    assert "From the other branch" in newest
    assert "2 / 2" in newest
    assert "The first answer" not in newest
    first = client.get(page, {"turn": str(turn.id)}).content.decode()
    assert "The first answer" in first
    assert f"?turn={other_branch.id}" in first


def test_search_looks_into_messages_and_answers_of_the_person_only(turn, owner, other, client_of):
    answered_turn(conversation_of(other, title="Foreign"), "The second answer")
    found = client_of(owner).get(reverse("chat:list"), {"q": "second ANSWER"}, headers=HTMX).content.decode()
    assert str(turn.conversation_id) in found
    assert "Foreign" not in found
    none = client_of(owner).get(reverse("chat:list"), {"q": "zebra"}, headers=HTMX).content.decode()
    assert "Nothing of yours contains" in none


def test_renaming_switching_and_deleting(turn, owner, client_of):
    client = client_of(owner)
    client.post(_address("rename", turn), {"title": "Fairness"})
    client.post(_address("switches", turn), {"personalised": "on"})
    conversation = Conversation.objects.get()
    assert (str(conversation), conversation.personalised, conversation.for_training) == (
        "Fairness",
        True,
        False,
    )
    question = client.get(_address("delete", turn)).content.decode()
    assert "2 answers" in question
    client.post(_address("delete", turn))
    assert not Conversation.objects.exists()


def test_the_export_holds_everything_as_json_lines(turn, owner, client_of):
    turn.reveal()
    client_of(owner).post(
        reverse("feedback:give", args=[turn.id]),
        {"kind": "rating", "score": 80, "reply": str(turn.replies.first().id)},
    )
    body = client_of(owner).get(_address("export", turn)).content.decode()
    lines = [json.loads(line) for line in body.splitlines()]
    assert [line["record"] for line in lines] == ["conversation", "turn", "feedback"]
    assert [r["maker"] for r in lines[1]["replies"]] == ["system_message", "base"]
    assert lines[2]["score"] == 80


def test_the_number_of_candidates_is_the_persons_choice(owner, client_of):
    client_of(owner).post(reverse("chat:count"), {"candidate_count": 1})
    owner.refresh_from_db()
    assert owner.candidate_count == 1
    client_of(owner).post(reverse("chat:count"), {"candidate_count": 9})
    owner.refresh_from_db()
    assert owner.candidate_count == 1
    client_of(owner).post(reverse("chat:new"), {"kind": "unguided", "text": "Hello"})
    assert Reply.objects.count() == 1


def test_the_page_needs_few_queries_however_long_the_conversation(
    owner, client_of, django_assert_max_num_queries
):
    conversation, parent = conversation_of(owner), None
    for number in range(12):
        turn, replies = answered_turn(conversation, f"a{number}", f"b{number}", parent=parent)
        turn.choose(replies[0])
        turn.reveal()
        parent = replies[0]
    client = client_of(owner)
    with django_assert_max_num_queries(10):
        client.get(reverse("chat:conversation", args=[conversation.id]))


def test_a_list_that_is_cut_says_where_the_rest_is(owner, client_of):
    Conversation.objects.bulk_create(Conversation(person=owner, title=f"Egg {n}") for n in range(60))
    assert b"Search finds the older ones." in client_of(owner).get(reverse("chat:list")).content
    Conversation.objects.first().delete()
    assert b"Search finds the older ones." not in client_of(owner).get(reverse("chat:list")).content


def test_a_new_name_stands_in_the_windows_title_too(turn, owner, client_of):
    fragment = client_of(owner).post(_address("rename", turn), {"title": "Fair <b>"}, headers=HTMX)
    assert b"<title>Fair &lt;b&gt; \xc2\xb7 alignapp</title>" in fragment.content
    assert client_of(owner).get(_address("conversation", turn)).content.count(b"<title>") == 1
