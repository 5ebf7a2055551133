from __future__ import annotations

import pytest

pytest.importorskip("prefect", reason="needs the extra prefect")

from prefect.settings import PREFECT_API_URL, temporary_settings

from crypto_archive.errors import EnvironmentFailure, ExitCode
from crypto_archive.flows.schedule import check_server

NOBODY = "http://127.0.0.1:9/api"


def test_a_schedule_needs_a_server_and_a_single_run_does_not() -> None:
    with temporary_settings({PREFECT_API_URL: ""}):
        check_server(own=True)
        with pytest.raises(EnvironmentFailure, match="No Prefect server is configured to keep the schedule") as raised:
            check_server(own=False)
    assert "prefect server start" in raised.value.hint
    assert raised.value.exit_code is ExitCode.ENVIRONMENT


@pytest.mark.parametrize("own", [True, False])
def test_a_server_that_is_configured_has_to_answer(own: bool) -> None:
    with (
        temporary_settings({PREFECT_API_URL: NOBODY}),
        pytest.raises(EnvironmentFailure, match=f"The Prefect server {NOBODY} cannot be reached: "),
    ):
        check_server(own=own)
