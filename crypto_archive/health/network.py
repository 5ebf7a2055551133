"""Whether the archive can be reached and listed from here, and whether the clocks agree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from crypto_archive.health.check import Check, failed, not_looked_at, ok, warning
from crypto_archive.s5cmd.protocol import Fault

if TYPE_CHECKING:
    from crypto_archive.request import Access
    from crypto_archive.s5cmd.trial import Trial

PREFIX = "data/"
"""What is listed for the trial: a handful of folders, in one request."""
NOTABLE_SECONDS = 60.0
"""How far the clocks may be apart before it is told."""
FAILING_SECONDS = 900.0
"""How far they may be apart before S3 refuses signed requests."""

_PREAMBLE = re.compile(r'^RequestError: send request failed caused by: \w+ "[^"]*": ')
"""What s5cmd says before it says what is wrong."""
_NETWORK = "Check the network, the proxy settings and --endpoint-url."
_CLOCK = "Set the clock, by NTP for example"


def check_endpoint(access: Access, trial: Trial) -> Check:
    """Say whether the server answers."""
    if trial.answered:
        return ok("endpoint", f"{access.endpoint_url} answers ({trial.seconds:.2f} s)")
    why = _PREAMBLE.sub("", trial.error) or "it said nothing"
    return failed("endpoint", f"{access.endpoint_url} cannot be reached: {why}", _NETWORK)


def check_listing(access: Access, trial: Trial) -> Check:
    """Say whether the server lets the bucket be listed."""
    where = f"{access.bucket}/{PREFIX}"
    if not trial.answered:
        return not_looked_at("listing", "the endpoint was not reached", "the endpoint")
    if trial.fault is Fault.DENIED:
        advice = "Runs with `--discover calendar` need no listing. " + (
            "The archive is public; a proxy or a firewall may be in the way."
            if access.anonymous
            else "Try it without --profile and --credentials-file in s5cmd_extra_args: the archive is public."
        )
        return failed("listing", f"{where} is denied: {trial.error}", advice)
    if trial.error:
        return failed("listing", f"{where} could not be listed: {trial.error}", _NETWORK)
    if not trial.folders:
        advice = "See that --endpoint-url and CRYPTO_ARCHIVE_BUCKET name the archive or a copy of it."
        return failed("listing", f"{where} has nothing in it", advice)
    return ok("listing", f"{where} is listed: {', '.join(trial.folders)}")


def check_clock(trial: Trial) -> Check:
    """Say how far the clock of this machine and the server's are apart."""
    if not trial.answered:
        return not_looked_at("clock", "the endpoint was not reached", "the endpoint")
    if trial.server_time is None or trial.local_time is None:
        return warning("clock", "the server did not say its time", "Compare the clock of this machine by hand.")
    # The server tells whole seconds, and its answer took a while.
    apart = (trial.local_time - trial.server_time).total_seconds()
    apart = max(0.0, apart - trial.seconds - 1) if apart > 0 else apart
    if abs(apart) < NOTABLE_SECONDS:
        return ok("clock", "agrees with the server's")
    told = f"{_duration(abs(apart))} {'ahead of' if apart > 0 else 'behind'} the server's"
    why = (
        "days would be asked for that are not over yet"
        if apart > 0
        else "s5cmd hides objects that are newer than this clock"
    )
    return (failed if abs(apart) >= FAILING_SECONDS else warning)("clock", told, f"{_CLOCK}: {why}.")


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
