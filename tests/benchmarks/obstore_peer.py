"""The downloader that one would write in an afternoon: obstore, 64 objects at a time, each hashed against its sidecar.

python obstore_peer.py ENDPOINT BUCKET PREFIX FOLDER
"""

import asyncio
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store


async def fetch(store: S3Store, key: str, path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        async for chunk in (await obstore.get_async(store, key)).stream(min_chunk_size=1 << 20):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


async def fetch_proven(store: S3Store, key: str, folder: Path, room: asyncio.Semaphore) -> None:
    async with room:
        digest = await fetch(store, key, folder / key)
        await fetch(store, f"{key}.CHECKSUM", folder / f"{key}.CHECKSUM")
        if digest != (folder / f"{key}.CHECKSUM").read_text().split()[0]:
            sys.exit(f"{key} is not what its sidecar says")


async def main(endpoint: str, bucket: str, prefix: str, folder: str) -> None:
    # The certificate of the bench is self-signed, which obstore takes from nobody.
    trusting: Any = {"allow_http": True, "allow_invalid_certificates": True}
    store = S3Store(bucket, endpoint=endpoint, region="ap-northeast-1", skip_signature=True, client_options=trusting)
    room = asyncio.Semaphore(64)
    async with asyncio.TaskGroup() as tasks:
        async for page in obstore.list(store, prefix):
            for item in page:
                if item["path"].endswith(".zip"):
                    tasks.create_task(fetch_proven(store, item["path"], Path(folder), room))


asyncio.run(main(*sys.argv[1:]))
os._exit(0)  # a thread of obstore that outlives Python aborts, now and then
