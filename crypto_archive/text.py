"""Text for people: sizes, rates, durations and counts; untrusted text made safe to print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

HIDDEN = r"\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
"""In a class of a regular expression: characters above ASCII's space that control a terminal, hide, change the
direction of text, or have no bytes in UTF-8."""
_HIDDEN = re.compile(f"[{HIDDEN}]")
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

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


def safe(text: str) -> str:
    r"""Return foreign text so that it can be shown: nothing in it moves the cursor, hides, or changes the direction.

    Control characters, direction marks, invisible characters and bytes that are not UTF-8 are shown as the escapes of
    Python's literals: ``\x1b`` for ESC, ``\u202e`` for a right-to-left override, ``\xff`` for the byte 0xFF. Tabs
    and line ends become spaces.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def one_line(text: str) -> str:
    """Return foreign text as ``safe`` does, without spaces at its ends and with single ones inside."""
    return " ".join(safe(text).split())


def _shown(letter: str) -> str:
    if letter.isprintable():
        return letter
    if letter.isspace():
        return " "
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte that it cannot decode
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def json_text(document: object, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """Return a document as JSON text in which nothing is raw that ``safe`` would not show as it is.

    Readers get the very text of the document back, even of a path that is not UTF-8.

    Args:
        document: The document.
        indent: By how many spaces to indent; None for a single line.
        ascii_only: Whether to escape whatever is not ASCII.
    """
    return harmless(json.dumps(document, ensure_ascii=ascii_only, indent=indent))


def document_of(fields: Iterable[tuple[str, object]]) -> dict[str, object]:
    """Return the fields of a document as a dictionary; what is an iterator among the values becomes a list."""
    return {name: [*value] if isinstance(value, Iterator) else value for name, value in fields}


def json_pieces(fields: Iterable[tuple[str, object]], *, ascii_only: bool = False) -> Iterator[str]:
    """Yield the same document as JSON text, in pieces: an iterator is never in memory as a whole, and has a line each.

    A field is asked for only when those before it have been written, so that one after an iterator may count it.
    """
    yield "{"
    before = "\n  "
    for name, value in fields:
        yield f"{before}{json_text(name, ascii_only=ascii_only)}: "
        before = ",\n  "
        if isinstance(value, Iterator):
            between, end = "[\n    ", "[]"
            for item in value:
                yield between + json_text(item, ascii_only=ascii_only)
                between, end = ",\n    ", "\n  ]"
            yield end
        else:
            yield json_text(value, indent=2, ascii_only=ascii_only).replace("\n", "\n  ")
    yield "\n}\n"


def compact_json(document: object) -> str:
    """Return a document as ``json_text`` does, on one line without spaces."""
    return harmless(_COMPACT(document))


def harmless(text: str) -> str:
    """Return JSON text in which what ``safe`` would not show as it is has become an escape."""
    if text.isascii() and "\x7f" not in text:  # all other characters that hide are above it
        return text
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
