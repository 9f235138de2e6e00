"""Every setting, read from the environment once; safe by default.

Knows nothing of models or training: those read `ALIGN_MODEL`, `ALIGN_ENGINE`,
`ALIGN_DEVICE` and `ALIGN_THREADS` from here through `django.conf.settings`.
`docs/settings.md` lists every variable; a contract test holds the two together.
"""

import os
import secrets
from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from alignapp.buckets import bucket_storage

# What is empty is not set, as some files of variables leave it; here, for everybody who asks.
for _name in ("DATABASE_URL", "REDIS_URL"):
    if not os.environ.get(_name):
        os.environ.pop(_name, None)
env = environ.FileAwareEnv()
BASE_DIR = Path(__file__).resolve().parent.parent

# Everything that the application writes lies under one folder.
VAR_DIR = Path(env.str("ALIGN_VAR", default=str(BASE_DIR / "var"))).resolve()
VAR_DIR.mkdir(parents=True, exist_ok=True)

DEBUG = env.bool("ALIGN_DEBUG", default=False)
# ALIGN_HTTPS=1 says that people reach the site over https only (production).
HTTPS = env.bool("ALIGN_HTTPS", default=False)


def _secret_key() -> str:
    """Return ALIGN_SECRET_KEY; on a single machine without one, make it once and keep it."""
    if key := env.str("ALIGN_SECRET_KEY", default=""):
        return key
    if HTTPS:
        raise ImproperlyConfigured(
            "ALIGN_SECRET_KEY is not set. Make one with "
            "python -c 'import secrets; print(secrets.token_urlsafe(50))' and give the same one to "
            "every web and worker host (or name a file that holds it in ALIGN_SECRET_KEY_FILE)."
        )
    path = VAR_DIR / "secret_key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(50))
    return path.read_text().strip()


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = env.list("ALIGN_ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("ALIGN_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "alignapp.accounts",
    "alignapp.audit",
    "alignapp.profiles",
    "alignapp.chat",
    "alignapp.feedback",
    "alignapp.annotation",
    "alignapp.exchange",
    "alignapp.quality",
    "alignapp.adapters",
    "alignapp.studies",
    "alignapp.instant",
    "alignapp.api",
    "alignapp.panel",
    "alignapp.campaigns",
    "alignapp.demo",
    "alignapp.panel.admin_config.OperatorsAdminConfig",  # django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "django_htmx",
    "template_partials",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "alignapp.accounts.unkept.Unkept",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "alignapp.faults.BrokerFault",
    "alignapp.faults.NulRemoval",
    "alignapp.faults.LostForm",
]

ROOT_URLCONF = "alignapp.urls"
ASGI_APPLICATION = "alignapp.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Data -----------------------------------------------------------------------------------

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'alignapp.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE: a transaction that reads and then writes otherwise fails at once when another
    # process writes in between, whatever the timeout.
    # A file in tests too, so that the workers that they start see the same rows.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # secure_delete: what somebody erased is overwritten, not only unlinked.
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"
            "PRAGMA secure_delete=ON;"
        ),
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Without REDIS_URL `manage.py up` starts an embedded Valkey on this port.
_BROKER_PORT = env.int("ALIGN_BROKER_PORT", default=6390)
REDIS_URL = env.str("REDIS_URL", default=f"redis://127.0.0.1:{_BROKER_PORT}/0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "cache",
        # Django's own would unpickle whatever lies in the broker.
        "OPTIONS": {"serializer": "alignapp.accounts.cache.JsonSerializer"},
    }
}

# --- People ---------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.Person"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
# Without a mail server there is nobody to send a confirmation; with one (ALIGN_EMAIL_URL) it is required.
EMAIL_URL = env.str("ALIGN_EMAIL_URL", default="")
if EMAIL_URL:
    vars().update(env.email_url("ALIGN_EMAIL_URL"))
else:
    EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if EMAIL_URL else "none"
ACCOUNT_RATE_LIMITS = {
    "login": "20/h/ip",
    "login_failed": "10/h/key,20/h/ip",
    "signup": "20/h/ip",
    "reauthenticate": "10/m/user",
}
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
ACCOUNT_FORMS = {
    "signup": "alignapp.accounts.forms.SignupForm",
    "login": "alignapp.accounts.forms.LoginForm",
}
# A second factor is for whoever wants one, and for everybody with a role in the panel.
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "alignapp"
MFA_TOTP_TOLERANCE = 1  # clocks differ; a code is good for one use anyway
MFA_ADAPTER = "alignapp.accounts.two_factor.Adapter"
# Without a mail server no address is ever confirmed (see above).
MFA_ALLOW_UNVERIFIED_EMAIL = not EMAIL_URL
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_EMAIL_NOTIFICATIONS = False
SESSION_COOKIE_AGE = 12 * 60 * 60  # from signing in, however busy the session is

# Who shows it reads /metrics; without one only this machine does, and only without https.
METRICS_TOKEN = env.str("ALIGN_METRICS_TOKEN", default="")

# --- Pages ----------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
if DEBUG:
    STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "alignapp.faults.stale_form"
CSRF_COOKIE_HTTPONLY = False  # our modules read the token to send it with fetch()
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
if HTTPS:
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

# --- Models, engine, artifacts ----------------------------------------------------------------

ALIGN_MODEL = env.str("ALIGN_MODEL", default="embedded")
ALIGN_ENGINE = env.str("ALIGN_ENGINE", default="local")
# With ALIGN_ENGINE=vllm: where `python -m personalization.engine.vllm.serve` listens, and its VLLM_API_KEY.
ALIGN_VLLM_URL = env.str("ALIGN_VLLM_URL", default="http://127.0.0.1:8100")
ALIGN_VLLM_KEY = env.str("ALIGN_VLLM_KEY", default="")
ALIGN_DEVICE = env.str("ALIGN_DEVICE", default="auto")
ALIGN_THREADS = env.int("ALIGN_THREADS", default=0)  # 0: as many as there are cores
# exact, or int8 (weight-only): faster for one or two answers at a time on a CPU, at a measured loss.
ALIGN_DECODE_WEIGHTS = env.str("ALIGN_DECODE_WEIGHTS", default="exact")
# On a CPU with a C++ compiler: products of few rows are built for this processor when a worker starts.
# 1.3 times as quick for 16 people (docs/benchmarks/serving.md).
ALIGN_COMPILE = env.bool("ALIGN_COMPILE", default=True)
# On a GPU: steps are played back from CUDA graphs. Off until somebody has measured it on one.
ALIGN_CUDA_GRAPHS = env.bool("ALIGN_CUDA_GRAPHS", default=False)
# Answers that one generation worker writes at once (measured by `python -m benchmarks.serving`).
ALIGN_ROWS = env.int("ALIGN_ROWS", default=64)
# People whose adapters one worker trains in the same passes; 0: 1 on a CPU, 8 on a GPU.
ALIGN_TRAIN_TOGETHER = env.int("ALIGN_TRAIN_TOGETHER", default=0)
# The share of each kind of feedback that adapters learn from, and by what it is kept; less was not measured
# to help.
TRAIN_KEPT_SHARE = env.float("ALIGN_TRAIN_KEPT_SHARE", default=1.0)
TRAIN_KEPT_BY = env.str("ALIGN_TRAIN_KEPT_BY", default="similarity")
MODEL_DIR = Path(env.str("ALIGN_MODELS", default=str(VAR_DIR / "models")))
# What `manage.py values build` made, by the revision of the base model.
VALUES_DIR = Path(env.str("ALIGN_VALUES", default=str(VAR_DIR / "values")))
ARTIFACT_DIR = Path(env.str("ALIGN_ARTIFACTS", default=str(VAR_DIR / "artifacts")))
# With a bucket artifacts lie there, and the folder above is this host's cache of them.
BUCKET = env.str("ALIGN_BUCKET", default="")  # or bucket/prefix
ARTIFACT_CACHE_BYTES = env.int("ALIGN_ARTIFACT_CACHE_BYTES", default=20 * 1024**3)
_reached = {
    "endpoint": env.str("ALIGN_BUCKET_ENDPOINT", default=""),
    "region": env.str("ALIGN_BUCKET_REGION", default=""),
    "key": env.str("ALIGN_BUCKET_KEY", default=""),
    "secret": env.str("ALIGN_BUCKET_SECRET", default=""),
}
if BUCKET:
    STORAGES["artifacts"] = bucket_storage(BUCKET, **_reached)
# Where every worker host and the web see them, a job goes on elsewhere, and erasing finds them.
CHECKPOINT_DIR = Path(env.str("ALIGN_CHECKPOINTS", default=str(VAR_DIR / "checkpoints")))
# Where uploaded files lie until they are imported, seen by web and workers.
UPLOAD_DIR = Path(env.str("ALIGN_UPLOADS", default=str(VAR_DIR / "uploads")))

# --- Limits: what a person may ask for ------------------------------------------------------------

MAX_PROMPT_CHARACTERS = env.int("ALIGN_MAX_PROMPT_CHARACTERS", default=8_000)
MAX_UPLOAD_BYTES = env.int("ALIGN_MAX_UPLOAD_BYTES", default=2 * 1024**3)
MAX_NEW_TOKENS = env.int("ALIGN_MAX_NEW_TOKENS", default=256)
REPLIES_PER_MINUTE = env.int("ALIGN_REPLIES_PER_MINUTE", default=60)
# Replies that wait for a worker, of everybody together; who asks beyond is told to come back.
MAX_WAITING_REPLIES = env.int("ALIGN_MAX_WAITING_REPLIES", default=1_000)
# Requests to the operator API, of all tokens of one person together.
OPERATOR_REQUESTS_PER_MINUTE = env.int("ALIGN_OPERATOR_REQUESTS_PER_MINUTE", default=300)
API_SECONDS = env.int("ALIGN_API_SECONDS", default=600)  # how long a program waits for its answer at most
JOBS_PER_DAY = env.int("ALIGN_JOBS_PER_DAY", default=12)
MIN_TRAINING_PAIRS = env.int("ALIGN_MIN_TRAINING_PAIRS", default=16)
# The longest training that is advised; what takes longer can still be chosen.
ADVICE_SECONDS = env.int("ALIGN_ADVICE_SECONDS", default=900)
# Two answers are offered again, to see how far a person agrees with themselves, when they were judged this
# long ago or so many acts of feedback ago, whichever comes first.
REPEAT_AFTER_DAYS = env.int("ALIGN_REPEAT_AFTER_DAYS", default=3)
REPEAT_AFTER_ACTS = env.int("ALIGN_REPEAT_AFTER_ACTS", default=60)
JOB_LEASE_SECONDS = env.int("ALIGN_JOB_LEASE_SECONDS", default=60)
REPLY_LEASE_SECONDS = env.int("ALIGN_REPLY_LEASE_SECONDS", default=30)
REPLY_SECONDS = env.int("ALIGN_REPLY_SECONDS", default=300)  # then an answer ends where it is
STREAM_TTL_SECONDS = env.int("ALIGN_STREAM_TTL_SECONDS", default=3600)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"one_line": {"()": "alignapp.refusals.OneLine"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "httpx2": {"level": "WARNING"},  # a line for each request to the vLLM server
        "django.request": {"filters": ["one_line"]},
    },
    "root": {"handlers": ["console"], "level": env.str("ALIGN_LOG_LEVEL", default="INFO")},
}
