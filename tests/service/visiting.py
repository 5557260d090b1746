"""A visit to the console in a real browser, that has to end without a fault."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import harness
import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright, to drive a browser")
expect = playwright.expect
expect.set_options(timeout=harness.DEADLINE * 1000)

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
MARKUP = "<img src=x onerror=\"document.title='it ran'\">"
"""A label that runs a script where it is taken for markup."""

marks = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium"),
]
"""Of every module that visits the console."""


class Visitor:
    """A page of a fresh browser profile, and what must not happen on it.

    Attributes:
        faults: errors on the browser's console, exceptions, breaches of the policy, requests to other hosts.
        refused: statuses of answers that the test expects; the browser logs each as an error of its own.
    """

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.url = url
        self.faults: list[str] = []
        self.refused: set[int] = set()
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        page.on("request", self._asked)
        page.add_init_script(
            "addEventListener('securitypolicyviolation', event => console.error('policy: ' + event.violatedDirective))"
        )

    def open(self, gallery: str, view: str, label: str | None = None) -> None:
        """Go to a view by its address, as a bookmark does."""
        parts = [gallery, view, *([] if label is None else [quote(label, safe="")])]
        self.page.goto(f"{self.url}/console/#/{'/'.join(parts)}")

    def choose(self, *photos: bytes, button: str = "Choose photos") -> None:
        """Choose files in the file chooser."""
        files = [
            {"name": f"photo {number}.jpg", "mimeType": "image/jpeg", "buffer": photo}
            for number, photo in enumerate(photos, 1)
        ]
        self.page.locator(f'input[type=file][aria-label="{button}"]').set_input_files(files)

    def give_key(self, key: str) -> None:
        """Answer the question for a key."""
        self.dialog().get_by_label("Key", exact=True).fill(key)
        self.dialog().get_by_role("button", name="Use this key").click()

    def has_given(self, key: str) -> None:
        """Have given a key before the next page."""
        self.page.add_init_script(f"sessionStorage.setItem('whichone-key', {key!r})")

    def dialog(self) -> Any:
        return self.page.get_by_role("dialog").last

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)

    def draw(self, *sides: float) -> None:
        """Draw a rectangle over the photo with the mouse; x0, y0, x1, y1 as fractions."""
        photo = self.page.locator(".canvas").bounding_box()
        x0, x1 = (photo["x"] + photo["width"] * side for side in sides[::2])
        y0, y1 = (photo["y"] + photo["height"] * side for side in sides[1::2])
        self.page.mouse.move(x0, y0)
        self.page.mouse.down()
        self.page.mouse.move(x1, y1, steps=4)
        self.page.mouse.up()
        expect(self.page.locator(".box.asked")).to_be_visible()

    def verdict(self, verdict: str) -> Any:
        """The answer, once it has this verdict."""
        shown = self.page.locator(f".verdict.{verdict}")
        expect(shown).to_be_visible()
        return shown

    def _said(self, message: Any) -> None:
        if message.type not in {"error", "warning"}:
            return
        if not any(f"status of {status} " in message.text for status in self.refused):
            self.faults.append(f"console: {message.text}")

    def _asked(self, request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme != "blob" and address.netloc != urlsplit(self.url).netloc:
            self.faults.append(f"request: {request.url}")


@contextmanager
def browsing() -> Iterator[Any]:
    """A browser for a `with` block."""
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@contextmanager
def visiting(browser: Any, url: str, **options: Any) -> Iterator[Visitor]:
    """A visit that has to end without a fault."""
    context = browser.new_context(**options)
    context.set_default_timeout(harness.DEADLINE * 1000)
    visitor = Visitor(context.new_page(), url)
    try:
        yield visitor
        assert visitor.faults == []
    finally:
        # A page that asks on while it is closed would have its handlers fail in the middle of the next test.
        visitor.page.unroute_all(behavior="ignoreErrors")
        context.close()
