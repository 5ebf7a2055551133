"""Which proxy s5cmd goes through, by the rules of its language, Go; and which certificates it trusts."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from crypto_archive.health.check import Check, ok, warning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crypto_archive.request import Access

_CERTIFICATES = ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_SECRET = re.compile(r"^(\w+://)?[^/@]*@")
_PORTS = {"http": 80, "https": 443}


def check_proxy(access: Access, environ: Mapping[str, str] | None = None) -> Check:
    """Say through which proxy s5cmd will go, and which certificates it will trust besides those of the system.

    Args:
        access: How the bucket is reached.
        environ: The environment variables; None for those of this process.
    """
    environ = os.environ if environ is None else environ
    proxy = proxy_for(access.endpoint_url, environ)
    certificates = {name: environ[name] for name in _CERTIFICATES if environ.get(name)}
    told = "; ".join([proxy or "none", *(f"{name}={path}" for name, path in certificates.items())])
    if missing := [name for name, path in certificates.items() if not Path(path).exists()]:
        return warning("proxy", told, f"{missing[0]} names what is not there; correct it or unset it.")
    if proxy is None and _set("ALL_PROXY", environ):
        meant = f"{urlsplit(access.endpoint_url).scheme.upper()}_PROXY"
        return warning("proxy", told, f"s5cmd does not know ALL_PROXY; set {meant} if that proxy is to be used.")
    return ok("proxy", told)


def proxy_for(endpoint_url: str, environ: Mapping[str, str]) -> str | None:
    """Return the variable that names a proxy for an endpoint, without secrets; or why it does not count; None for none.

    Args:
        endpoint_url: The S3 endpoint.
        environ: The environment variables.
    """
    url = urlsplit(endpoint_url)
    host = url.hostname or ""
    variable = _set(f"{url.scheme.upper()}_PROXY", environ)
    if variable is None:
        return None
    if host == "localhost" or _is_loopback(host):
        return f"none for {host}, which is this machine ({variable} is set)"
    excepted = _set("NO_PROXY", environ)
    port = url.port or _PORTS.get(url.scheme, 0)
    if excepted and any(_spares(one.strip().lower(), host, port) for one in environ[excepted].split(",")):
        return f"none for {host}, because of {excepted} ({variable} is set)"
    return f"{variable}={_SECRET.sub(lambda found: found[1] or '', environ[variable])}"


def _set(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the name of a variable as it is set, None where it is not; capital letters go before small ones."""
    return next((one for one in (name, name.lower()) if environ.get(one)), None)


def _spares(word: str, host: str, port: int) -> bool:
    """Whether a word of NO_PROXY is for a host: ``*``, an address, a network, a domain; maybe with a port."""
    name, colon, number = word.rpartition(":")
    if colon and number.isdigit() and not name.endswith(":"):
        if int(number) != port:
            return False
        word = name
    word = word.removeprefix("*.") if word.startswith("*.") else word
    if word == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(word.strip("[]"), strict=False)
    except ValueError:  # one of them is a name
        return bool(word) and (host == word or host.endswith("." + word.removeprefix(".")))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
