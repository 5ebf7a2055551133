"""``python -m tests.docs`` writes the generated parts of all documents anew."""

from __future__ import annotations

from tests.docs.generated import REPOSITORY, documents, regenerated


def main() -> None:
    """Write them, and say which documents have changed."""
    for path in documents():
        before = path.read_text(encoding="utf-8")
        after = regenerated(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"{path.relative_to(REPOSITORY)}: written anew")


if __name__ == "__main__":
    main()
