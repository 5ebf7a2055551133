"""The picture behind ``make picture``: the terminal in the middle of a real collect, as SVG.

A collect of the preset that the README shows runs against a local S3 server with a sample archive, behind a proxy that
is as slow as a line may be. Its progress is the one that people see; at one moment it is drawn, and the run is stopped.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from crypto_archive import collect_events, load_preset
from crypto_archive.model import Market
from crypto_archive.render.stats import ProgressStats
from crypto_archive.render.terminal import TerminalProgress
from tests.archive.proxy import FaultProxy, Slow
from tests.archive.sample import SampleSpec, days, of_days, write_sample
from tests.archive.server import ENDPOINT_VARIABLE, S3Server

if TYPE_CHECKING:
    from rich.console import RenderableType

COMMAND = "crypto-archive collect --preset majors.yaml"
README = Path(__file__).parents[2] / "README.md"
WIDTH, HEIGHT = 100, 24
LAST_DAY = date(2025, 7, 15)
BYTES_PER_SECOND = 50_000.0
SHARE = 0.6
"""How much of the plan is done at the moment of the picture."""

THEME = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [(72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34), (88, 166, 255), (188, 140, 255), (57, 197, 207),
     (177, 186, 196)],
    [(110, 118, 129), (255, 161, 152), (86, 211, 100), (227, 179, 65), (121, 192, 255), (210, 168, 255),
     (86, 212, 221), (240, 246, 252)],
)  # fmt: skip

# Rich's own form fetches its font from another host; this one takes what the reader has. The width of each text is
# set by Rich, so that columns stand below each other in any font.
FORM = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>{command}</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def draw() -> str:
    """Run a collect until enough of it is done, and return the picture of its terminal."""
    with tempfile.TemporaryDirectory() as folder:
        sample = write_sample(Path(folder, "archive"), _majors())
        with S3Server(sample.root) as server, FaultProxy(server.endpoint_url) as proxy:
            proxy.fault("GET", "*.zip", Slow(BYTES_PER_SECOND))
            os.environ[ENDPOINT_VARIABLE] = proxy.endpoint_url
            return _picture(_run(_preset(Path(folder)), Path(folder, "output")))


def _majors() -> SampleSpec:
    """Return all that the preset asks for."""
    window = list(days(LAST_DAY - timedelta(days=29), LAST_DAY))
    return SampleSpec.of(
        item
        for market in (Market.SPOT, Market.FUTURES_UM)
        for data_type, intervals in (("klines", ("1m", "1h", "1d")), ("trades", ()))
        for item in of_days(market, data_type, ("BTCUSDT", "ETHUSDT", "ADAUSDT"), window, intervals)
    )


def _preset(folder: Path) -> Path:
    """Write the preset that the README shows, and return its path."""
    found = re.search(r"^```yaml\n(# majors\.yaml\n.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    if found is None:
        raise SystemExit(f"{README} shows no majors.yaml")
    path = folder / "majors.yaml"
    path.write_text(found[1], encoding="utf-8")
    return path


def _run(preset: Path, output: Path) -> list[RenderableType]:
    """Return what stands on the terminal at the moment of the picture."""
    wanted = load_preset(preset, end=str(LAST_DAY), output_directory=str(output))
    said = io.StringIO()
    above = Console(file=said, width=WIDTH, height=HEIGHT, force_terminal=True, color_system="truecolor")
    progress, tally = TerminalProgress(above), ProgressStats(time.monotonic)
    with collect_events(wanted) as run:
        for event in run:
            progress.show(event)
            tally.add(event)
            if (tally.fraction or 0.0) >= SHARE:
                break
    notes = [Text.from_ansi(said.getvalue())] if said.getvalue() else []
    return [*notes, progress.render(), ""]  # a line below the last one, which would be cut else


def _picture(shown: list[RenderableType]) -> str:
    console = Console(
        record=True,
        file=io.StringIO(),
        width=WIDTH,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    console.print(Text.assemble(("$ ", "green"), (COMMAND, "bold")))
    for part in shown:
        console.print(part)
    form = FORM.replace("{command}", COMMAND)
    return console.export_svg(title="", theme=THEME, code_format=form, unique_id="collect")


def main() -> None:
    """Parse the command line and write the picture."""
    parser = argparse.ArgumentParser(prog="python -m tests.archive.picture", description=__doc__)
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="the SVG to write")
    to: Path = parser.parse_args().to
    to.write_text(draw(), encoding="utf-8")
    print(f"The picture: {to}")


if __name__ == "__main__":
    main()
