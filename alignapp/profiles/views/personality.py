"""The inventory: twelve pages of ten statements, saved at every answer; scores; answers from elsewhere."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alignapp.answers import PersonRequest
from alignapp.profiles import results
from alignapp.profiles.forms import AnswerForm, FinishForm, ImportForm
from alignapp.profiles.models import InventoryAnswer, ProfileVersion
from alignapp.profiles.services import current_profile, new_version
from alignapp.profiles.wording import progress_words
from personalization.inventory.importing import parse
from personalization.inventory.items import ANSWERS, ITEM_COUNT, items
from personalization.inventory.items import page as page_of_items
from personalization.inventory.scoring import score

PAGE_SIZE = 10
PAGES = ITEM_COUNT // PAGE_SIZE


@login_required
@require_GET
def start(request: PersonRequest) -> HttpResponse:
    """Say what the inventory is, and where to go on."""
    answers = InventoryAnswer.of(request.user)
    current = current_profile(request.user)
    open_items = _open_items(answers)
    context = {
        "answered": len(answers),
        "item_count": ITEM_COUNT,
        "progress": progress_words(len(answers)),
        "resume": (open_items[0] - 1) // PAGE_SIZE + 1 if open_items else None,
        "has_scores": bool(current and current.personality),
        "is_stale": results.is_stale(current, answers),
    }
    return render(request, "profiles/personality.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def page(request: PersonRequest, number: int) -> HttpResponse:
    """Show ten statements, or take the answers to them and go on; leaving some open is fine."""
    if not 1 <= number <= PAGES:
        raise Http404
    statements = page_of_items(number, size=PAGE_SIZE)
    if request.method == "POST":
        given = {item.number: request.POST.get(f"item-{item.number}", "") for item in statements}
        InventoryAnswer.keep(
            request.user, {n: int(v) for n, v in given.items() if v in {"1", "2", "3", "4", "5"}}
        )
        if request.POST.get("go") == "back":
            return (
                redirect("profiles:personality_page", number - 1)
                if number > 1
                else redirect("profiles:personality")
            )
        return (
            redirect("profiles:personality_page", number + 1)
            if number < PAGES
            else redirect("profiles:personality_finish")
        )
    answers = InventoryAnswer.of(request.user)
    context = {
        "number": number,
        "pages": PAGES,
        "statements": [(item, answers.get(item.number)) for item in statements],
        "choices": [(value, _(words)) for value, words in ANSWERS.items()],
        "answered": len(answers),
        "item_count": ITEM_COUNT,
        "progress": progress_words(len(answers)),
    }
    return render(request, "profiles/personality_page.html", context)


@login_required
@require_POST
def answer(request: PersonRequest) -> HttpResponse:
    """Save one answer for a script."""
    form = AnswerForm(request.POST)
    if not form.is_valid():
        return JsonResponse(
            {"error": _("An answer is an item from 1 to 120 and a value from 1 to 5.")}, status=400
        )
    InventoryAnswer.keep(request.user, {form.cleaned_data["item"]: form.cleaned_data["value"]})
    answered = InventoryAnswer.objects.for_person(request.user).count()
    return JsonResponse({"answered": answered, "progress": progress_words(answered)})


@login_required
@require_http_methods(["GET", "POST"])
def finish(request: PersonRequest) -> HttpResponse:
    """Ask with whom to compare, then score the answers into the next version."""
    answers = InventoryAnswer.of(request.user)
    current = current_profile(request.user)
    stored = current.personality if current else {}
    initial = {"sex": stored.get("sex") or "N", "age": stored.get("age")}
    form = FinishForm(request.POST if request.method == "POST" else None, initial=initial)
    refused = ""
    if request.method == "POST" and form.is_valid():
        sex, age = form.cleaned_data["sex"], form.cleaned_data["age"]
        scores = score(answers, sex=sex, age=age)
        if scores.scored_domains:
            content = {"answers": {str(n): v for n, v in sorted(answers.items())}, "sex": sex, "age": age}
            new_version(
                request.user, ProfileVersion.Section.PERSONALITY, personality=content | scores.as_dict()
            )
            return redirect("profiles:personality_result")
        refused = _("There are not enough answers yet: a domain is scored from 18 of its 24 statements on.")
    open_items = _open_items(answers)
    context = {
        "form": form,
        "refused": refused,
        "answered": len(answers),
        "item_count": ITEM_COUNT,
        "open_items": [(n, (n - 1) // PAGE_SIZE + 1) for n in open_items],
    }
    status = 400 if refused or form.errors else 200
    return render(request, "profiles/personality_finish.html", context, status=status)


@login_required
@require_GET
def result(request: PersonRequest) -> HttpResponse:
    """Show the scores of the current version."""
    current = current_profile(request.user)
    if current is None or not current.personality:
        messages.info(request, _("There are no scores yet. Answer the statements first."))
        return redirect("profiles:personality")
    personality = current.personality
    context = {
        "version": current,
        "chart": results.domain_chart(personality),
        "domains": results.charts_of(personality),
        "answered": len(personality["answers"]),
        "item_count": ITEM_COUNT,
        "sex": personality["sex"],
        "age": personality["age"],
    }
    return render(request, "profiles/personality_result.html", context)


@login_required
@require_POST
def restart(request: PersonRequest) -> HttpResponse:
    """Forget the collected answers; scores that were made stay in the history."""
    InventoryAnswer.objects.for_person(request.user).delete()
    messages.success(request, _("The answers are gone. You can begin anew."), extra_tags="good")
    return redirect("profiles:personality")


@login_required
@require_http_methods(["GET", "POST"])
def import_answers(request: PersonRequest) -> HttpResponse:
    """Read answers given elsewhere: first show what was understood, then save it."""
    form = ImportForm(request.POST, request.FILES) if request.method == "POST" else ImportForm()
    context = {"form": form, "text": "", "found": None}
    if request.method == "POST" and form.is_valid():
        text = form.cleaned_data["text"]
        found = parse(text, keyed=form.cleaned_data["keyed"])
        if "save" in request.POST and found.answers:
            InventoryAnswer.keep(request.user, found.answers)
            words = ngettext(
                "%(n)d answer is taken over. Look at what is still open, then see your scores.",
                "%(n)d answers are taken over. Look at what is still open, then see your scores.",
                len(found.answers),
            )
            messages.success(request, words % {"n": len(found.answers)}, extra_tags="good")
            return redirect("profiles:personality_finish")
        already = InventoryAnswer.of(request.user)
        replaced = sum(n in already and already[n] != v for n, v in found.answers.items())
        context |= {"text": text, "found": found, "replaced": replaced, "item_count": ITEM_COUNT}
    elif request.method == "POST":
        context["text"] = request.POST.get("text", "")
    return render(request, "profiles/personality_import.html", context, status=400 if form.errors else 200)


def _open_items(answers: dict[int, int]) -> list[int]:
    return [item.number for item in items() if item.number not in answers]
