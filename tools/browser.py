"""JupyterLab in a browser nobody sees: for the browser test and for pictures of pages.

Needs Playwright and a Chromium of the system; nothing is downloaded, and no page may ask anything of another machine.
"""
from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
LABEXTENSIONS = REPOSITORY / "tools" / "labextensions"  # alternative text for pictures, names for sliders and cells
APPS = {"jupyterlab": "LabApp", "notebook": "JupyterNotebookApp"}  # module that serves: its name in options
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SETTINGS = {  # every cell is rendered, whether in view or not; no news, no update check
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
}
IN_FRONT = """notebook => {
    const shown = window.jupyterapp?.shell.currentWidget;
    return shown?.context?.path == notebook && shown.context.isReady;
}"""
KERNEL_READY = """() => {
    const session = window.jupyterapp?.shell.currentWidget?.sessionContext, kernel = session?.session?.kernel;
    return session?.isReady && kernel?.connectionStatus == 'connected' && kernel.status == 'idle';
}"""
ALL_RAN = """() => {
    const running = [...document.querySelectorAll('.jp-InputPrompt')].some(prompt => prompt.textContent.includes('*'));
    if (running) return false;
    const cells = window.jupyterapp.shell.currentWidget.content.model.toJSON().cells.filter(cell => cell.cell_type == 'code' && cell.source.length);
    const meant = cell => (cell.metadata.tags ?? []).includes('raises-exception');
    const failed = cells.some(cell => !meant(cell) && cell.outputs.some(output => output.output_type == 'error'));
    return failed || cells.every(cell => cell.execution_count);
}"""


def find_chromium() -> str | None:
    """Path of a Chromium or Chrome on this machine, or None."""
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


def missing() -> str:
    """What keeps the browser from being used here, in one line; empty when nothing does."""
    if find_chromium() is None:
        return f"no browser: none of {', '.join(CHROMIUM_NAMES)} is on the PATH"
    return "" if importlib.util.find_spec("playwright") else "no Playwright: pip install playwright"


class Lab(NamedTuple):
    """A running JupyterLab, or Notebook 7: its address, token and log."""
    address: str
    token: str
    log: Path
    app: str = "jupyterlab"

    def url(self, notebook: str) -> str:
        """Address of a notebook in a workspace of its own: a used one would open the notebooks seen before too, one of them in front."""
        if self.app == "notebook":
            return f"{self.address}/notebooks/{notebook}?token={self.token}"
        return f"{self.address}/lab/workspaces/{secrets.token_hex(4)}/tree/{notebook}?token={self.token}"


@contextmanager
def jupyterlab(folder: Path, home: Path, *, app: str = "jupyterlab", seconds: float = 120) -> Iterator[Lab]:
    """JupyterLab (or app="notebook", Notebook 7) serving `folder` on its own port, with settings, runtime files and log in `home`; stopped at the end."""
    settings = {f"settings/@jupyterlab/{name}.jupyterlab-settings": values for name, values in SETTINGS.items()}
    served = {"LabApp": {"extension_manager": "readonly"}, "JupyterNotebookApp": {}}[APPS[app]]
    settings[f"config/jupyter_{app.removeprefix('jupyter')}_config.json"] = {APPS[app]: {"expose_app_in_browser": True} | served}  # Notebook 7 does not hear of it on its command line
    for name, values in settings.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(json.dumps(values), encoding="utf-8")
    variables = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython"}
    python_path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {key: str(home / value) for key, value in variables.items()} | {"PYTHONPATH": python_path, "JUPYTER_PATH": str(LABEXTENSIONS.parent), "TQDM_DISABLE": "1"}
    port, token = _free_port(), secrets.token_hex(16)
    options = [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    command = [sys.executable, "-m", app, "--no-browser", "--allow-root", *options]
    log = home / "jupyterlab.log"
    with log.open("w", encoding="utf-8") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_for(server, port, log, seconds)
            yield Lab(f"http://127.0.0.1:{port}", token, log, app)
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


class Page(NamedTuple):
    """A browser page (Playwright's) and what went wrong on it, filled while it is used."""
    page: object
    complaints: list[str]

    def command(self, name: str, **arguments) -> object:
        """Run a command of JupyterLab, as its menus would."""
        return self.page.evaluate("([name, given]) => window.jupyterapp.commands.execute(name, given).then(() => true)", [name, arguments])

    def open(self, lab: Lab, notebook: str, *, kernel: bool, seconds: float = 120) -> None:
        """Show a notebook and wait until its cells stand, and its kernel too where it will be needed."""
        self.page.goto(lab.url(notebook), timeout=1e3 * seconds)
        self.page.wait_for_function(IN_FRONT, arg=notebook, timeout=1e3 * seconds)
        self.page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=1e3 * seconds)
        if kernel:
            self.page.wait_for_function(KERNEL_READY, timeout=1e3 * seconds)

    def run_all(self, *, seconds: float) -> None:
        """Run every cell and wait for the last; an error stops the notebook, as it does for a reader."""
        self.page.set_default_timeout(1e3 * seconds)
        self.command("notebook:run-all-cells")
        self.page.wait_for_function(ALL_RAN, timeout=1e3 * seconds, polling=500)  # seldom: the notebook needs the processor


@contextmanager
def browser_page(*, width: int = 1200, height: int = 1500, scale: float = 1) -> Iterator[Page]:
    """A page of a headless Chromium that collects exceptions, console errors and requests to other machines."""
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_FLAGS)
        try:
            page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
            page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
            page.on("console", lambda message: message.type == "error" and complaints.append(f"console: {message.text}"))
            page.on("request", lambda request: _is_local(request.url) or complaints.append(f"request to another machine: {request.url}"))
            yield Page(page, complaints)
        finally:
            browser.close()


def _is_local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "http://localhost:", "data:", "blob:", "about:", "file:"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(server: subprocess.Popen, port: int, log: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.poll() is not None:
            raise RuntimeError(f"JupyterLab stopped at once; its last words: {_end_of(log)}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not answer within {seconds:g} s; its last words: {_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8")[-800:]
