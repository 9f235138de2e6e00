"""The console's addresses."""

from django.urls import path

from alignapp.annotation.views import items, people, projects, work

app_name = "annotation"
urlpatterns = [
    path("", projects.overview, name="list"),
    path("new", projects.new, name="new"),
    path("join/<str:token>", people.join, name="join"),
    path("<uuid:project_id>/", projects.project, name="project"),
    path("<uuid:project_id>/settings", projects.settings, name="settings"),
    path("<uuid:project_id>/guidelines", projects.guidelines, name="guidelines"),
    path("<uuid:project_id>/guidelines/add", projects.add_guidelines, name="add_guidelines"),
    path("<uuid:project_id>/switch", projects.switch, name="switch"),
    path("<uuid:project_id>/delete", projects.delete, name="delete"),
    path("<uuid:project_id>/consent", people.consent, name="consent"),
    path("<uuid:project_id>/leave", people.leave, name="leave"),
    path("<uuid:project_id>/people", people.people, name="people"),
    path("<uuid:project_id>/items", items.items, name="items"),
    path("<uuid:project_id>/items/write-again", items.write_again, name="write_again"),
    path("<uuid:project_id>/next", work.claim, name="next"),
    path("members/<uuid:member_id>/remove", people.remove, name="remove"),
    path("members/<uuid:member_id>/pardon", people.pardon, name="pardon"),
    path("invitations/<uuid:invitation_id>/withdraw", people.withdraw, name="withdraw"),
    path("items/<uuid:item_id>/", items.item, name="item"),
    path("work/<uuid:assignment_id>/", work.work, name="work"),
    path("work/<uuid:assignment_id>/draft", work.draft, name="draft"),
    path("work/<uuid:assignment_id>/skip", work.skip, name="skip"),
    path("work/<uuid:assignment_id>/flag", work.flag, name="flag"),
    path("work/<uuid:assignment_id>/reopen", work.reopen, name="reopen"),
    path("work/<uuid:assignment_id>/offer-again", items.offer_again, name="offer_again"),
]
