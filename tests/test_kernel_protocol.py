"""Widgets as VS Code and other clients see them: messages of Jupyter's kernel protocol alone, with no page and no JavaScript.

A client reads the models that comm_open brings, or asks for all of them, moves a slider by one comm_msg, and hears the new picture.
"""
import os

import pytest
from jupyter_client.manager import start_new_kernel

from tools.sources import ROOT

SECONDS = 300
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class Client:
    """A client of one kernel: it keeps the widgets' models by id, as messages tell them."""

    def __init__(self, client):
        self.client, self.models = client, {}

    def run(self, code: str) -> list[dict]:
        """Run code; the data of everything it displayed."""
        return self._until_idle(self.client.execute(code))

    def send(self, kind: str, *, version: str = "", **content) -> list[dict]:
        """A message about a comm; the data of everything displayed while it was handled."""
        message = self.client.session.msg(kind, content, metadata={"version": version} if version else {})
        self.client.shell_channel.send(message)
        return self._until_idle(message["header"]["msg_id"])

    def update(self, model: str, **state) -> None:
        self.send("comm_msg", comm_id=model, data={"method": "update", "state": state, "buffer_paths": []})

    def of_kind(self, name: str, **traits) -> list[str]:
        """Ids of models of a kind with these values."""
        return [key for key, state in self.models.items() if state.get("_model_name") == name and traits.items() <= state.items()]

    def _until_idle(self, parent: str) -> list[dict]:
        shown = []
        while True:
            message = self.client.get_iopub_msg(timeout=SECONDS)
            if message["parent_header"].get("msg_id") != parent:
                continue
            kind, content = message["msg_type"], message["content"]
            assert kind != "error", content.get("evalue")
            if kind == "comm_open" and content["target_name"] == "jupyter.widget":
                assert message["metadata"]["version"].split(".")[0] == "2", "the widget messaging protocol that clients know"
                self.models[content["comm_id"]] = dict(content["data"]["state"])
            elif kind == "comm_msg":
                self._hear(content)
            elif kind in ("display_data", "execute_result"):
                shown.append(content["data"])
            elif kind == "status" and content["execution_state"] == "idle":
                return shown

    def _hear(self, content: dict) -> None:
        data = content["data"]
        if data.get("method") == "update_states":  # all models at once, as was asked for
            self.models = {key: dict(model["state"]) for key, model in data["states"].items()}
        elif data.get("method") == "update":
            self.models[content["comm_id"]].update(data["state"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kernel")


@pytest.fixture(scope="module")
def kernel(folder):
    manager, client = start_new_kernel(startup_timeout=SECONDS, cwd=str(folder), env=_environment())
    try:
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture
def client(kernel):
    """One that has heard of no model of other tests."""
    return Client(kernel)


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])), "OMP_NUM_THREADS": "1"}


def test_a_slider_answers_by_messages_alone(client):
    (data,) = client.run("from deepgen_lib import explore, plots\nexplore(plots.tour.landscape)")
    assert data[WIDGET_VIEW]["model_id"] in client.models and data["image/png"], "a view of a model that was sent, and a still picture where no widget can be shown"
    slider, = client.of_kind("SelectionSliderModel")
    picture, = [key for key in client.of_kind("HTMLModel") if "<img" in client.models[key]["value"]]
    before = client.models[picture]["value"]
    client.update(slider, index=0 if client.models[slider]["index"] else 1)
    after = client.models[picture]["value"]
    assert after != before and "<img" in after and 'role="alert"' not in after
    client.update(slider, index=1 if client.models[slider]["index"] else 0)


def test_a_choice_is_kept_and_answered(client):
    (data,) = client.run('from deepgen_lib import predict, reveal\npredict("0.1", "What happens?", ["it rises", "it falls"])')
    assert "a) it rises" in data["text/plain"]
    choice, = client.of_kind("RadioButtonsModel", index=None)
    client.update(choice, index=1)
    assert client.run("from deepgen_lib import predictions\nprint('kept' if predictions.chosen('0.1') == 1 else 1 / 0)") == []


def test_a_client_that_comes_later_hears_of_all_models(client):
    client.run("from deepgen_lib import explore, plots\nexplore(plots.tour.landscape)")
    known = set(client.models)
    client.models = {}
    client.send("comm_open", comm_id="late", target_name="jupyter.widget.control", data={}, version="1.0.0")
    client.send("comm_msg", comm_id="late", data={"method": "request_states"})
    assert known <= set(client.models)


def test_an_error_in_a_frame_reaches_the_client(client):
    """The tests above can fail: a frame that cannot be drawn is an alert in place of the picture, and no silence."""
    client.run("from deepgen_lib import explore, plots\nexplore(lambda k: plots.lines([0, 1], {'model': [0, 1 / k]}, xlabel='x', ylabel='y'), k=[1, 0])")
    slider, = client.of_kind("SelectionSliderModel")
    client.update(slider, index=1)
    assert any('role="alert"' in client.models[key]["value"] and "ZeroDivisionError" in client.models[key]["value"] for key in client.of_kind("HTMLModel"))
