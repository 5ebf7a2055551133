"""The LIST of S3 from memory: a server of listings alone, on a unix socket, for nginx to ask.

    python -m tests.benchmarks.listing SOCKET FOLDER

Each folder of FOLDER is a bucket. It reads all files once, for their ETags, prints ``ready``, and serves until it is
stopped.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import sys
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MOST_KEYS = 1000
PART_BYTES = 8 * 1024 * 1024
"""The part size of the usual uploads to S3: what is larger has an ETag of parts."""
_LAST = "\U0010ffff"
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One key of a bucket, as a listing names it."""

    key: str
    size: int
    modified: datetime
    etag: str

    @property
    def xml(self) -> str:
        """The element of the listing."""
        return (
            f"<Contents><Key>{escape(self.key)}</Key><LastModified>{self.modified:%Y-%m-%dT%H:%M:%S.000Z}"
            f"</LastModified><ETag>&#34;{self.etag}&#34;</ETag><Size>{self.size}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )


class Listing:
    """All keys of a bucket in order, and the pages of ListObjects, of both versions, over them."""

    def __init__(self, name: str, entries: Iterable[Entry]) -> None:
        ordered = sorted(entries)
        self._name = name
        self._keys = [entry.key for entry in ordered]
        self._elements = [entry.xml for entry in ordered]

    def page(self, query: Mapping[str, str]) -> str:
        """Return the document that answers a request with these parameters."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        most = min(int(query.get("max-keys") or MOST_KEYS), MOST_KEYS)
        token = base64.b64decode(query.get("continuation-token", "")).decode()
        after = token or query.get("start-after") or query.get("marker") or ""
        at = max(bisect_left(self._keys, prefix), bisect_right(self._keys, after) if after else 0)
        end = bisect_left(self._keys, prefix + _LAST)
        elements: list[str] = []
        last = ""
        while at < end and len(elements) < most:
            key = self._keys[at]
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut < 0:
                elements.append(self._elements[at])
                last, at = key, at + 1
            else:
                folder = key[: cut + len(delimiter)]
                elements.append(f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>")
                last = folder + _LAST
                at = bisect_right(self._keys, last)
        following = ""
        if at < end:
            token = base64.b64encode(last.encode()).decode()
            following = f"<NextMarker>{escape(last)}</NextMarker><NextContinuationToken>{token}</NextContinuationToken>"
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="{_NAMESPACE}"><Name>{self._name}</Name>'
            f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{len(elements)}</KeyCount><MaxKeys>{most}</MaxKeys>"
            f"<IsTruncated>{str(at < end).lower()}</IsTruncated>{following}{''.join(elements)}</ListBucketResult>"
        )


def etag_of(path: Path) -> str:
    """Return the ETag that S3 gives to an upload: the MD5, or for more than one part the MD5 of the parts' MD5s."""
    parts = []
    with path.open("rb") as file:
        while part := file.read(PART_BYTES):
            parts.append(hashlib.md5(part, usedforsecurity=False).digest())
    if len(parts) > 1:
        return f"{hashlib.md5(b''.join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"
    return parts[0].hex() if parts else hashlib.md5(usedforsecurity=False).hexdigest()


def entries_of(bucket: Path) -> Iterator[Entry]:
    """Yield the keys of a folder that is a bucket."""
    for folder, _, names in os.walk(bucket):
        for name in names:
            path = Path(folder, name)
            found = path.stat()
            modified = datetime.fromtimestamp(int(found.st_mtime), UTC)
            yield Entry(path.relative_to(bucket).as_posix(), found.st_size, modified, etag_of(path))


async def _serve(place: Path, listings: Mapping[str, Listing]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                target = urlsplit(request.split(b" ", 2)[1].decode())
                body = listings[target.path.strip("/")].page(dict(parse_qsl(target.query))).encode()
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # nginx has closed it
        finally:
            writer.close()

    async with await asyncio.start_unix_server(answer, place) as server:
        print("ready", flush=True)
        await server.serve_forever()


def main() -> None:
    """Serve the listings of a folder of buckets."""
    place, folder = map(Path, sys.argv[1:])
    listings = {bucket.name: Listing(bucket.name, entries_of(bucket)) for bucket in folder.iterdir() if bucket.is_dir()}
    asyncio.run(_serve(place, listings))


if __name__ == "__main__":
    main()
