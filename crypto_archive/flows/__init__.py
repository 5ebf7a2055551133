"""A Prefect flow that collects; needs the extra ``prefect``, and ``dask`` for more than one machine.

from crypto_archive.flows import archive_collection_flow

result = archive_collection_flow("research", shards=4)
"""

from crypto_archive import require_extra

require_extra("prefect", "crypto_archive.flows")

# What these import is there now.
from crypto_archive.flows.collection import archive_collection_flow as archive_collection_flow  # noqa: E402
from crypto_archive.flows.outcome import CollectionFailed as CollectionFailed  # noqa: E402
