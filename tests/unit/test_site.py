"""The site and the picture: every document is in the navigation, and nothing is fetched from another host."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import yaml

from tests.docs.generated import DOCS, README, REPOSITORY


class Loader(yaml.SafeLoader):
    """Passes over the tags that name functions."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def configuration() -> dict[str, Any]:
    read = yaml.load((REPOSITORY / ".mkdocs.yml").read_text("utf-8"), Loader)
    assert isinstance(read, dict)
    return read


def pages(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [page for inner in (entry.values() if isinstance(entry, dict) else entry) for page in pages(inner)]


def test_every_document_for_users_is_in_the_navigation_once() -> None:
    documents = {path.name for path in DOCS.glob("*.md")}
    assert configuration()["exclude_docs"] == "/architecture.md"
    assert sorted(pages(configuration()["nav"])) == sorted(documents - {"architecture.md"})


def test_pages_for_users_do_not_lead_to_what_is_for_contributors() -> None:
    for page in pages(configuration()["nav"]):
        assert not re.search(r"architecture\.md|`tests/|::test_", (DOCS / page).read_text("utf-8")), page


def test_every_schema_is_led_to_by_the_index() -> None:
    index = (DOCS / "index.md").read_text("utf-8")
    for path in DOCS.glob("*.json"):
        assert f"]({path.name})" in index


def test_the_site_goes_where_git_does_not_look() -> None:
    assert f"{configuration()['site_dir']}/" in (REPOSITORY / ".gitignore").read_text("utf-8").splitlines()


def test_the_site_asks_no_other_host() -> None:
    assert configuration()["theme"]["font"] is False
    assert "extra_javascript" not in configuration()
    assert configuration()["extra_css"] == ["site.css"]
    assert "url(" not in (DOCS / "site.css").read_text("utf-8")
    assert "offline" not in configuration()["plugins"]  # its script comes from another host


def test_links_to_other_hosts_are_addresses() -> None:
    for path in [README, *DOCS.glob("*.md")]:
        for address in re.findall(r"\]\((https?:[^)\s]*)\)", path.read_text("utf-8")):
            assert re.fullmatch(r"https://[a-z0-9.-]+\.[a-z]{2,}(/[\w./#?=&-]*)?", address), address


def test_pictures_are_there_and_say_what_they_show() -> None:
    for path in [README, *DOCS.glob("*.md")]:
        for words, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", path.read_text("utf-8")):
            assert len(words) > 20
            assert (path.parent / target).is_file()


def test_the_picture_needs_nothing_but_itself() -> None:
    text = (DOCS / "collect.svg").read_text("utf-8")
    drawn = "".join(ElementTree.fromstring(text).itertext()).replace("\N{NO-BREAK SPACE}", " ")
    assert "crypto-archive collect --preset majors.yaml" in drawn
    assert "spot klines" in drawn
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<script|@import|@font-face|/tmp/|/home/", text)
