"""A real S3 server with a generated sample of the archive, and the tests that run against it."""
