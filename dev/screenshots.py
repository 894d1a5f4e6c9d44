"""Makes the pictures in docs/: a trace's page in light and dark, and the terminal.

Needs chromium and chromedriver (on Debian: apt-get install chromium chromium-driver), and the demonstration's model.
"""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text
from selenium import webdriver

DOCS = Path(__file__).resolve().parent.parent / "docs"
PROMPT = "Question: What is the capital of Maryland? Answer as JSON.\nAnswer:"
PATTERN = r' \{"city": "[A-Z][a-z]+", "country": "[A-Z][A-Za-z ]+", "population": [1-9]\d{3,6}\}'
COLUMNS = 108


def rellm(*arguments):
    """What a command prints on a terminal, with its colours."""
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "FORCE_COLOR": "1"}
    command = [sys.executable, "-m", "rellm", arguments[0], "--color", "always", *arguments[1:]]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode not in (0, 1):  # 1: a text that does not match
        sys.exit(done.stderr)
    return done.stdout


def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--force-device-scale-factor=1.5"):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


def picture(driver, url, name, scheme="light", width=1180):
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    driver.set_window_size(width, 600)
    driver.get(url)
    driver.set_window_size(width, driver.execute_script("return document.documentElement.scrollHeight") + 140)
    height = driver.execute_script("return document.body.getBoundingClientRect().height")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    driver.get_screenshot_as_file(str(DOCS / name)) if not height else _clipped(driver, DOCS / name, clip)
    print(DOCS / name)


def _clipped(driver, path, clip):
    import base64

    shot = driver.execute_cdp_cmd(
        "Page.captureScreenshot", {"format": "png", "clip": clip, "captureBeyondViewport": True}
    )
    path.write_bytes(base64.b64decode(shot["data"]))


def terminal_page(parts):
    """Commands and what they printed, as a page that looks like a terminal."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for command, printed in parts:
        console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
        console.print(Text.from_ansi(printed))
    body = console.export_html(inline_styles=True, code_format="{code}", theme=MONOKAI)
    return (
        '<!doctype html><meta charset="utf-8"><body style="margin:0;background:#16181d">'
        "<pre style=\"margin:0;padding:22px 26px;color:#e6e3dc;font:14px/1.4 'DejaVu Sans Mono',monospace\">"
        f"{body}</pre>"
    )


def main():
    DOCS.mkdir(exist_ok=True)
    driver = browser()
    with tempfile.TemporaryDirectory() as folder:
        page, terminal = Path(folder) / "trace.html", Path(folder) / "terminal.html"
        arguments = ["--model", "smollm2", "--flags", "a", "--regex", PATTERN, "--max-new-tokens", "60", PROMPT]
        rellm("explain", "--html", str(page), *arguments)
        for scheme in ("light", "dark"):
            picture(driver, page.as_uri(), f"trace-{scheme}.png", scheme)
        number = r"\d+(\.\d{1,2})?"
        parts = [
            (f"rellm check --flags a '{number}' 13.5x", rellm("check", "--flags", "a", number, "13.5x")),
            (
                "rellm sample '[A-Z]{2}-[0-9]{4}' -n 3 --seed 1",
                rellm("sample", "[A-Z]{2}-[0-9]{4}", "-n", "3", "--seed", "1"),
            ),
            (
                "rellm explain --model smollm2 --regex '(yes|no)\\.' 'Is water wet? Answer:'",
                rellm("explain", "--model", "smollm2", "--regex", "(yes|no)\\.", "Is water wet? Answer:"),
            ),
        ]
        terminal.write_text(terminal_page(parts), encoding="utf-8")
        picture(driver, terminal.as_uri(), "terminal.png", "dark", width=1000)
    driver.quit()


if __name__ == "__main__":
    sys.exit(main())
