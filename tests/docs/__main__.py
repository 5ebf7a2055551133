"""``python -m tests.docs`` regenerates the generated parts of all documents and the schema of presets."""

from __future__ import annotations

from tests.docs.generated import PRESET_SCHEMA, REPOSITORY, documents, regenerated, schema_text


def main() -> None:
    """Write them, and say which documents have changed."""
    for path in documents():
        before = path.read_text(encoding="utf-8")
        after = regenerated(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"{path.relative_to(REPOSITORY)}: updated")
    if not PRESET_SCHEMA.exists() or PRESET_SCHEMA.read_text(encoding="utf-8") != schema_text():
        PRESET_SCHEMA.write_text(schema_text(), encoding="utf-8")
        print(f"{PRESET_SCHEMA.relative_to(REPOSITORY)}: updated")


if __name__ == "__main__":
    main()
