"""`apflow serve` as an operator meets it."""

import json
import re
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from apflow_hookspecs.errors import ConfigError
from apflow_server.binding import permitted

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
CREATE = {"method": "tasks.create", "params": {"id": "a", "executor": "echo", "execute": True}}


def rpc(service, method, **params):
    return service.http.post("/tasks", json={"method": method, "params": params}).json()


def wait_for(path):
    while not path.exists():
        threading.Event().wait(0.02)


def test_it_says_where_it_is_and_that_nobody_is_asked(serve):
    service = serve()
    assert service.line.startswith("serving on http://127.0.0.1:")
    assert service.line.rstrip().endswith("nobody is asked for a credential")
    assert service.http.get("/health/ready").json() == {"status": "ok"}


def test_it_says_which_credential_it_asks_for(serve, door):
    service = serve()
    assert "every request needs a credential: a word" in service.line
    assert service.http.get("/tasks").status_code == 401
    assert service.http.get("/tasks", headers={"X-Word": "please"}).status_code == 200


def test_for_machines_it_says_so_in_json(serve, apflow):
    process = apflow.start("serve", "--port", "0", "--json", stdout=subprocess.PIPE)
    told = json.loads(process.stdout.readline())
    process.terminate()
    process.wait(60)
    process.stdout.close()
    assert told["url"].startswith("http://127.0.0.1:")
    assert (told["credentials"], told["demo"]) == ([], None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(serve, number):
    service = serve()
    service.running.send(number)
    done = service.running.finish()
    assert (done.code, "stopping" in done.err, "Traceback" in done.err) == (0, True, False)


def test_while_it_stops_new_work_is_refused_and_what_runs_ends(serve, tmp_path):
    service, gate = serve(), tmp_path / "gate"
    rpc(service, "tasks.create", id="slow", executor="held", inputs={"gate": str(gate)}, execute=True)
    service.running.send(signal.SIGTERM)
    service.running.until("stopping", "err")
    assert service.http.get("/health/ready").status_code == 503
    assert service.http.get("/health/live").status_code == 200
    refused = service.http.post("/tasks", json=CREATE)
    assert (refused.status_code, int(refused.headers["Retry-After"]) > 0) == (503, True)
    assert service.http.get("/tasks/slow").json()["status"] == "in_progress"
    gate.touch()
    assert service.running.finish().code == 0
    again = serve()
    assert again.http.get("/tasks/slow").json()["status"] == "completed"


def test_a_request_that_waits_is_told_when_the_server_stops(serve, tmp_path):
    service = serve(APFLOW_DRAIN_TIMEOUT="1")
    answers = []
    tasks = [{"id": "slow", "executor": "held", "inputs": {"gate": str(tmp_path / "never")}}]

    def ask():
        body = {"method": "tasks.execute", "params": {"tasks": tasks, "wait": 600}}
        answers.append(service.http.post("/tasks", json=body))

    asking = threading.Thread(target=ask)
    asking.start()
    while rpc(service, "tasks.running.count")["result"]["total"] == 0:
        pass
    service.running.send(signal.SIGTERM)
    asking.join(60)
    assert answers[0].status_code == 503
    assert service.running.finish().code == 0


def test_what_was_cut_off_is_gone_on_with(serve, tmp_path):
    service, gate = serve(), tmp_path / "gate"
    rpc(service, "tasks.create", id="slow", executor="held", inputs={"gate": str(gate)}, execute=True)
    service.running.send(signal.SIGKILL)
    service.running.finish()
    gate.touch()
    again = serve()
    while again.http.get("/tasks/slow").json()["status"] != "completed":
        pass
    assert again.http.get("/tasks/slow").json()["recoveries"] == 1


def test_the_lines_of_the_demo_work_as_they_are_typed(serve):
    assert shutil.which("curl")
    service = serve("--demo")
    service.running.until("tasks.copy")
    lines = [line.strip() for line in service.running._said["out"] if line.strip().startswith("curl")]
    tree, events, copy = [subprocess.run(line, shell=True, capture_output=True, check=True).stdout for line in lines]  # noqa: S602
    assert json.loads(tree)["key"] == "report"
    assert b"event: tree_settled" in events
    assert json.loads(copy)["result"]["tree"]["status"] in ("pending", "in_progress", "completed")


def test_the_lines_of_the_crontab_run_a_tree_each_time(serve):
    service = serve()
    create, copy = re.findall(r"^0 3 \* \* \* (curl .*)$", README, re.MULTILINE)
    made = [typed(service, create)["id"] for _ in range(2)]
    assert len(set(made)) == 2
    copied = typed(service, copy.replace('"ID"', f'"{made[0]}"'))["tree"]["id"]
    while rpc(service, "tasks.count", root_only=True, status="completed")["result"]["total"] < 3:
        pass
    assert service.http.get(f"/tasks/{copied}").json()["original_task_id"] == made[0]


def typed(service, line):
    url = str(service.http.base_url).rstrip("/")
    line = line.replace("http://localhost:8000", url)
    return json.loads(subprocess.run(line, shell=True, capture_output=True, check=True).stdout)["result"]  # noqa: S602 - as typed


def test_a_port_that_is_taken_is_told_in_one_line(apflow):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = apflow("serve", "--port", str(taken.getsockname()[1]))
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "in use" in done.err


def test_a_second_server_on_the_same_storage_names_the_first(serve, apflow):
    service = serve()
    done = apflow("serve", "--port", "0")
    assert (done.code, str(service.running.pid) in done.err) == (4, True)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104 - refused
def test_other_machines_are_not_let_in_without_a_credential(apflow, host):
    for arguments, environment in ((("--host", host), {}), ((), {"APFLOW_SERVER__HOST": host})):
        done = apflow("serve", "--port", "0", *arguments, **environment)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert "--allow-unauthenticated-network" in done.err


def test_a_name_of_which_one_address_leads_outside_counts_as_outside():
    addresses = [(socket.AF_INET, (address, 80)) for address in ("127.0.0.1", "192.0.2.1")]
    with pytest.raises(ConfigError, match="no credential"):
        permitted("both", addresses, secured=False, allowed=False)
    assert permitted("inside", addresses[:1], secured=False, allowed=False)


@pytest.mark.parametrize("host", ["nowhere.invalid", "", " ", "127.0.0.1:80"])
def test_a_name_that_leads_nowhere_is_told(apflow, host):
    done = apflow("serve", "--host", host)
    assert (done.code, repr(host) in done.err) == (2, True)


def test_the_operator_may_let_everybody_in_and_is_warned(serve):
    service = serve("--host", "0.0.0.0", "--allow-unauthenticated-network")  # noqa: S104 - that is the test
    assert "warning" in service.running.until("whoever reaches", "err")


def test_with_a_credential_other_machines_are_let_in(serve, door):
    assert "a word" in serve("--host", "0.0.0.0").line  # noqa: S104 - that is the test


def test_options_go_before_the_environment_and_that_before_the_file(apflow, serve):
    (apflow.folder / "apflow.toml").write_text('[server]\nhost = "0.0.0.0"\nmax_batch = 1\n')
    service = serve("--host", "127.0.0.1", APFLOW_SERVER__MAX_BATCH="2")
    assert service.http.post("/tasks", json=[CREATE] * 2).status_code == 200
    assert service.http.post("/tasks", json=[CREATE] * 3).status_code == 400


def test_an_option_that_does_not_fit_is_told(apflow):
    done = apflow("serve", APFLOW_SERVER__MAX_BODY="-1")
    assert (done.code, "max_body" in done.err) == (2, True)
    assert apflow("serve", "--port", "70000").code == 2
