"""A Prefect flow that collects; needs the extra ``prefect``, and ``dask`` for more than one machine.

from crypto_archive.flows import archive_collection_flow

result = archive_collection_flow("research", shards=4)
"""

from crypto_archive.errors import require_extra

require_extra("prefect", "crypto_archive.flows")

# These import Prefect, which is known to be installed by now.
from crypto_archive.flows.flow import archive_collection_flow as archive_collection_flow
from crypto_archive.flows.tasks import CollectionFailed as CollectionFailed
