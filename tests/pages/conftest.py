"""What several test files share: the built pages, a server for them, and a browser to look at them."""

import contextlib
import functools
import http.server
import subprocess
import threading
from types import SimpleNamespace

import pytest
from filelock import FileLock
from playwright.sync_api import sync_playwright

import build
import pdf

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]


@pytest.fixture(scope="session")
def built(tmp_path_factory, worker_id):
    """The book, built once from today's sources: .log, .failed and .html, the folder of its pages."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder if worker_id == "master" else folder.parent) / "pages"
    log, done = folder / "log", folder / "done"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):  # several workers share one build
        if not done.exists():
            with open(log, "w", encoding="utf-8") as file:
                process = build.build(folder, stdout=file, stderr=subprocess.STDOUT)
            done.write_text(str(process.returncode))
    return SimpleNamespace(
        log=log.read_text(encoding="utf-8"), failed=done.read_text() != "0", html=folder / "_build" / "html"
    )


@pytest.fixture(scope="session")
def html(built):
    """The folder of the pages; a build that only warned has them all."""
    if build.missing_pages(built.html):
        pytest.fail("the book does not build; test_build.py shows why", pytrace=False)
    return built.html


@pytest.fixture(scope="session")
def browser_path():
    """Chromium or Chrome on this machine; without one, the tests that need it are skipped, loudly."""
    found = pdf.browser_path()
    if found is None:
        pytest.skip("NO BROWSER FOUND: the pages were not looked at. Install Chromium (apt-get install chromium)")
    return found


@pytest.fixture(scope="module")
def browser(browser_path):
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=FLAGS)
        yield browser
        browser.close()


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def serve():
    """A function that serves a folder on this machine's own address, which it returns."""
    with contextlib.ExitStack() as stack:

        def served(folder):
            handler = functools.partial(Silent, directory=str(folder))
            server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}"

        yield served
