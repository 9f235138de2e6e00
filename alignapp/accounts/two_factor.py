"""The second factor: secrets encrypted at rest, and the picture that an authenticator app scans.

allauth's own picture is a `data:` address, which the content policy refuses.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from allauth.mfa.adapter import DefaultMFAAdapter, get_adapter
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from alignapp.answers import PersonRequest

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


class Adapter(DefaultMFAAdapter):
    """Keeps the secrets under a key that the database does not hold."""

    def encrypt(self, text: str) -> str:
        """Return the text encrypted with a key that is derived from SECRET_KEY."""
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return what `encrypt` was given. Raises InvalidToken after SECRET_KEY was changed."""
        return _cipher().decrypt(encrypted_text.encode()).decode()


def _cipher() -> Fernet:
    from cryptography.fernet import Fernet  # slow to import

    key = hashlib.sha256(b"alignapp.two_factor" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))


@login_required
@require_GET
@never_cache
def qr_code(request: PersonRequest) -> HttpResponse:
    """Draw the secret that is being set up, which only this session holds; 404 when none is."""
    secret = request.session.get(SECRET_SESSION_KEY)
    if not secret:
        raise Http404
    adapter = get_adapter()
    picture = adapter.build_totp_svg(adapter.build_totp_url(request.user, secret))
    return HttpResponse(picture, content_type="image/svg+xml")
