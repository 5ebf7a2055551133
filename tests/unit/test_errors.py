from __future__ import annotations

import pytest

from crypto_archive import errors as extras
from crypto_archive.errors import ExitCode


def test_an_extra_that_is_not_there_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(extras, "find_spec", asked.append)
    with pytest.raises(extras.ExtraMissing) as raised:
        extras.require_extra("prefect", "`crypto-archive flow run`")
    assert str(raised.value) == (
        "`crypto-archive flow run` needs the extra 'prefect': pip install 'crypto-archive[prefect]'"
    )
    assert raised.value.exit_code is ExitCode.USAGE
    assert isinstance(raised.value, ImportError)  # for programs that can do without
    assert asked == ["prefect"]


def test_an_extra_is_there_only_with_all_of_its_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    present = {"prefect_dask"}
    monkeypatch.setattr(extras, "find_spec", lambda module: module if module in present else None)
    with pytest.raises(extras.ExtraMissing, match=r"crypto-archive\[dask\]"):
        extras.require_extra("dask", "Collecting on Dask")
    present.add("distributed")
    extras.require_extra("dask", "Collecting on Dask")
