"""How django-storages is told of an S3-compatible bucket. Knows nothing of what lies in it."""

from __future__ import annotations

from typing import Any


def bucket_storage(name: str, *, endpoint: str, region: str, key: str, secret: str) -> dict[str, Any]:
    """Return the entry of STORAGES for a bucket, or `bucket/prefix`.

    Without `endpoint` it is Amazon's; without `key` boto3 looks for one where it always does (environment,
    profile, the machine's role).
    """
    from botocore.config import Config  # slow to import, and only where a bucket is used

    bucket, _, prefix = name.partition("/")
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if endpoint else "auto"},
        connect_timeout=5,
        read_timeout=60,
        retries={"max_attempts": 4, "mode": "standard"},
        # Other servers do not know Amazon's checksums; ours is SHA-256 of every file, and asked for by us.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    options = {
        "bucket_name": bucket,
        "location": prefix.strip("/"),
        "endpoint_url": endpoint or None,
        "region_name": region or None,
        "access_key": key or None,
        "secret_key": secret or None,
        "client_config": config,
        "file_overwrite": True,
    }
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": {k: v for k, v in options.items() if v}}
