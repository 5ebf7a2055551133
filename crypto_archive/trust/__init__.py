"""What makes stored bytes trustworthy: checksums, staging and publication, the lock, the manifest, proofs."""
