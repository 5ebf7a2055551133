"""Text for people: sizes, rates, durations and counts; untrusted text made safe to print."""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def format_bytes(size: float) -> str:
    """Return a size in bytes as text, one decimal place from KiB on: ``512 B``, ``1.5 GiB``."""
    unit = 0
    while round(size, 1) >= 1024 and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.0f} B" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def format_rate(bytes_per_second: float) -> str:
    """Return a rate in bytes per second as text: ``38.2 MiB/s``."""
    return f"{format_bytes(bytes_per_second)}/s"


def format_duration(seconds: float) -> str:
    """Return a duration in words, in the two largest units that matter: ``0.4 s``, ``1 min 23 s``, ``2 h 5 min``."""
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    parts = ((days, "d"), (hour, "h"), (minute, "min"), (second, "s"))
    first = next(index for index, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)


def format_about(seconds: float) -> str:
    """Return an approximate duration, rounded to what is meaningful: ``40 s``, ``4 min``, ``2 h 10 min``."""
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    step = 60 if seconds < 3600 else 600 if seconds < 86_400 else 3600
    return format_duration(round(seconds / step) * step)


def format_clock(seconds: float) -> str:
    """Return a duration as a clock shows it, of steady width below ten hours: ``0:01:23``."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}"


def format_count(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 object``, ``1,234 objects``, ``2 batches``."""
    ending = "" if count == 1 else "es" if noun.endswith(("ch", "s", "x")) else "s"
    return f"{count:,} {noun}{ending}"


def one_line(text: str) -> str:
    """Return untrusted text on one line, without control characters that a terminal would execute."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
