"""What an error of s5cmd says about the server: the cause in one sentence, and the hint that fits it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from crypto_archive.errors import EndpointUnreachable
from crypto_archive.s5cmd.output import Fault, fault_of

if TYPE_CHECKING:
    from crypto_archive.config.run_config import Access

AGAIN = "Run the same command again later."
_WITHOUT_LISTING = "`plan` and `collect` need no listing with --discover calendar."
_NO_BUCKET = re.compile(r"NoSuchBucket", re.IGNORECASE)
# The first match decides: a proxy's name may be the one that is not found.
_HINTS = {
    re.compile(pattern, re.IGNORECASE): hint
    for pattern, hint in {
        "NoSuchBucket": "Check --endpoint-url and CRYPTO_ARCHIVE_BUCKET.",
        "BucketRegionError|PermanentRedirect": "Check --endpoint-url and CRYPTO_ARCHIVE_REGION.",
        "proxyconnect|Proxy ?Authentication|status code: 407": (
            "Check the proxy settings: `crypto-archive doctor` shows which proxy is used."
        ),
        "status code: 511": "Log in to this network first, for example in a browser.",
        "gave HTTP response to HTTPS|BadRequest: ": "Check whether --endpoint-url has to begin with http:// or https://.",
        r"x509|certificate|\btls: ": (
            "Check --endpoint-url and the clock; if a proxy intercepts TLS, name its certificates in AWS_CA_BUNDLE."
        ),
        "no such host|server misbehaving": "Check the network, its DNS, and the host in --endpoint-url.",
    }.items()
}


def server_failed(access: Access, error: str, *, listing: bool) -> EndpointUnreachable:
    """Return what to raise when the server fails for a reason that holds for the whole command.

    ``listing`` tells whether it was asked for a listing, or for objects.
    """
    server, fault = f"The archive's server {access.endpoint_url}", fault_of(error)
    if _NO_BUCKET.search(error):
        message = f"{server} has no bucket {access.bucket!r}"
    elif fault is Fault.UNREACHABLE:
        message = f"{server} cannot be reached: {error}"
    elif fault is Fault.DENIED:
        message = f"{server} denies {'the listing' if listing else 'access'}: {error}"
    else:
        message = f"{server} failed to list the bucket {access.bucket!r}: {error}"
    return EndpointUnreachable(message, hint=hint_for(access, error, listing=listing))


def hint_for(access: Access, error: str, *, listing: bool) -> str:
    """Return what to do about an error of the server."""
    for sign, hint in _HINTS.items():
        if sign.search(error):
            return hint
    fault = fault_of(error)
    if fault is Fault.UNREACHABLE:
        return "Check the network, the proxy settings and --endpoint-url."
    if fault is not Fault.DENIED:
        return AGAIN
    if not access.anonymous:  # the same credentials would be denied the objects, too
        return "The archive is public: try without --profile and --credentials-file in s5cmd_extra_args."
    advice = "The archive is public, so a proxy or a firewall may be in the way; check --endpoint-url."
    return f"{advice} {_WITHOUT_LISTING}" if listing else advice
