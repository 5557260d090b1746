"""What `docker/kubernetes` promises, as far as it can be seen without a cluster: against the schemas of Kubernetes'
API, and against what the server is."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from cli import app
from service.errors import UnknownSetting
from service.metrics import Metrics
from service.settings import PREFIX, Settings
from service.turns import LANES

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docker/kubernetes"
GRACE_S = 20  # what requests under way get, docs/operations.md
Manifest = dict[str, Any]


def documents(path: Path) -> list[Manifest]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def kustomization(folder: str) -> Manifest:
    [document] = documents(FOLDER / folder / "kustomization.yaml")
    return document


def manifests_of(folder: str) -> Iterator[Manifest]:
    for name in kustomization(folder)["resources"]:
        if name.endswith(".yaml"):
            yield from documents(FOLDER / folder / name)


MANIFESTS = [*manifests_of("base"), *manifests_of("example")]
PODS = {m["metadata"]["name"]: m["spec"]["template"] for m in MANIFESTS if m["kind"] in {"Deployment", "Job"}}
SETTINGS = dict(literal.split("=", 1) for literal in kustomization("base")["configMapGenerator"][0]["literals"])


def the(kind: str, name: str = "whichone-api") -> Manifest:
    [found] = [m for m in MANIFESTS if (m["kind"], m["metadata"]["name"]) == (kind, name)]
    return found


def container(name: str) -> Manifest:
    [only] = PODS[name]["spec"]["containers"]
    return only


def variables(name: str) -> dict[str, Any]:
    """Of the container's environment; None where the cluster fills it in."""
    given = SETTINGS if "envFrom" in container(name) else {}
    return given | {entry["name"]: entry.get("value") for entry in container(name)["env"]}


def check(manifest: Manifest, version: str) -> None:
    wrong = ""
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as error:  # its own text holds the whole schema
        wrong = f"{manifest['kind']} {manifest['metadata']['name']}, {list(error.path)}: {error.message}"
    assert not wrong


def test_every_file_is_used() -> None:
    for folder in ("base", "example"):
        files = {path.name for path in (FOLDER / folder).glob("*.yaml")} - {"kustomization.yaml"}
        assert files == {name for name in kustomization(folder)["resources"] if name.endswith(".yaml")}
    assert "../base" in kustomization("example")["resources"]


@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda m: f"{m['kind']}-{m['metadata']['name']}")
def test_it_is_what_the_schemas_allow(manifest: Manifest, version: str) -> None:
    check(manifest, version)


def test_the_schemas_refuse_what_is_wrong() -> None:
    service = the("Service", "whichone")
    wrong = service | {"spec": service["spec"] | {"selectors": {}}}
    with pytest.raises(kubernetes_validate.ValidationError, match="selectors"):
        kubernetes_validate.validate(wrong, "1.29", strict=True)


def test_kustomize_builds_it(tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    folder = tmp_path / "kubernetes"
    shutil.copytree(FOLDER, folder)
    (folder / "example/secrets").mkdir(exist_ok=True)
    for name in ("admin-key", "database-url"):
        (folder / "example/secrets" / name).write_text("postgresql://example\n", encoding="utf-8")
    command = [kubectl, "kustomize", str(folder / "example")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    assert len(built) == len(MANIFESTS) + 3  # the settings and two secrets
    for manifest in built:
        check(manifest, "1.29")
    made = {m["metadata"]["name"] for m in built if m["kind"] in {"ConfigMap", "Secret"}}
    assert all(re.fullmatch(r"whichone-[a-z-]+-[a-z0-9]{10}", name) for name in made)  # a change begins new pods
    used = set(re.findall(r"(?:secretName|name): (whichone-(?:settings|admin-key|database-url)\S*)", done.stdout))
    assert used == made
    assert "image: whichone\n" not in done.stdout


@pytest.mark.parametrize("name", PODS)
class TestPod:
    def test_it_may_do_little(self, name: str) -> None:
        pod, limits = PODS[name]["spec"], container(name)["securityContext"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert limits == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not any("hostPath" in volume for volume in pod["volumes"])

    def test_it_has_requests_and_limits(self, name: str) -> None:
        resources = container(name)["resources"]
        assert set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory"}

    def test_its_verb_exists(self, name: str) -> None:
        [verb] = container(name)["args"]
        assert verb in get_command(app).commands  # type: ignore[attr-defined]

    def test_the_server_understands_its_environment(self, name: str, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("postgresql://whichone@db/whichone", encoding="utf-8")
        environ = {
            variable: str(tmp_path / "secret") if variable.endswith("_FILE") else value or "2"
            for variable, value in variables(name).items()
        }
        settings = Settings.load(environ)
        assert settings.database_url is not None
        for variable, value in variables(name).items():
            if variable.endswith("_FILE"):
                assert any(value.startswith(mount["mountPath"] + "/") for mount in container(name)["volumeMounts"])

    def test_the_cluster_adds_no_variables(self, name: str) -> None:
        """Beside a Service `whichone`, links would be WHICHONE_PORT=tcp://... and unknown settings."""
        assert PODS[name]["spec"]["enableServiceLinks"] is False
        with pytest.raises(UnknownSetting):
            Settings.load({"WHICHONE_SERVICE_HOST": "10.0.0.1"})

    def test_no_secret_is_a_variable(self, name: str) -> None:
        secret = {PREFIX + field.upper() for field in Settings.secrets()}
        assert not secret & set(variables(name))
        assert not any("secretKeyRef" in str(entry) for entry in container(name)["env"])

    def test_what_it_mounts_is_there(self, name: str) -> None:
        volumes = {volume["name"]: volume for volume in PODS[name]["spec"]["volumes"]}
        assert {mount["name"] for mount in container(name)["volumeMounts"]} == set(volumes)
        made = {secret["name"] for secret in kustomization("example")["secretGenerator"]}
        assert {v["secret"]["secretName"] for v in volumes.values() if "secret" in v} <= made
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                the("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])

    def test_its_image_is_named_by_the_deployment(self, name: str) -> None:
        [image] = kustomization("example")["images"]
        assert container(name)["image"] == image["name"]
        assert isinstance(image["newTag"], str)
        assert image["newTag"] != "latest"


def test_probes_ask_what_the_server_answers() -> None:
    api = container("whichone-api")
    [port] = api["ports"]
    assert str(port["containerPort"]) == SETTINGS["WHICHONE_PORT"]
    asked = {kind: api[kind]["httpGet"] for kind in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert {kind: probe["path"] for kind, probe in asked.items()} == {
        "startupProbe": "/healthz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
    }
    assert {probe["port"] for probe in asked.values()} == {port["name"]}


def test_servers_end_in_their_own_time() -> None:
    notice = float(SETTINGS["WHICHONE_SHUTDOWN_NOTICE"])
    assert notice >= 5
    assert PODS["whichone-api"]["spec"]["terminationGracePeriodSeconds"] > notice + GRACE_S
    assert the("Deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_selectors_find_the_pods_they_mean() -> None:
    def matching(selector: dict[str, str]) -> set[str]:
        return {name for name, pod in PODS.items() if selector.items() <= pod["metadata"]["labels"].items()}

    for name in ("whichone-api", "whichone-worker"):
        assert matching(the("Deployment", name)["spec"]["selector"]["matchLabels"]) == {name}
    assert matching(the("Service", "whichone")["spec"]["selector"]) == {"whichone-api"}
    assert matching(the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]) == {"whichone-api"}
    assert matching(the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]) == {"whichone-api"}
    assert matching(the("NetworkPolicy", "whichone")["spec"]["podSelector"]["matchLabels"]) == set(PODS)
    [spread] = PODS["whichone-api"]["spec"]["topologySpreadConstraints"]
    assert matching(spread["labelSelector"]["matchLabels"]) == {"whichone-api"}
    [port] = the("Service", "whichone")["spec"]["ports"]
    assert port["targetPort"] in {port["name"] for port in container("whichone-api")["ports"]}


def test_the_autoscaler_scales_by_what_the_server_tells() -> None:
    spec, deployment = the("HorizontalPodAutoscaler")["spec"], the("Deployment")
    assert spec["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"],
        "kind": "Deployment",
        "name": deployment["metadata"]["name"],
    }
    assert "replicas" not in deployment["spec"]  # an apply would undo what the autoscaler did
    assert spec["minReplicas"] > the("PodDisruptionBudget")["spec"]["minAvailable"]
    [metric] = [metric["pods"]["metric"]["name"] for metric in spec["metrics"] if metric["type"] == "Pods"]
    [adapter] = documents(FOLDER / "prometheus-adapter.yaml")
    [rule] = adapter["rules"]["custom"]
    assert rule["name"]["as"] == metric
    [family] = [family for family in Metrics().registry.collect() if rule["seriesQuery"].startswith(family.name + "{")]
    assert family.type == "gauge"
    lanes = re.findall(r'lane="(\w+)"', rule["metricsQuery"])
    assert lanes == ["recognize"]
    assert set(lanes) <= set(LANES)


def test_servers_leave_imports_to_the_worker() -> None:
    assert SETTINGS["WHICHONE_RUN_JOBS"] == "false"
    claims = [
        volume["persistentVolumeClaim"]["claimName"]
        for name in ("whichone-api", "whichone-worker")
        for volume in PODS[name]["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    ]
    assert claims == ["whichone-data"] * 2


def test_uploads_have_room() -> None:
    """A pod whose scratch folder outgrows its limit is evicted: no client may bring that about."""
    [scratch] = [v for v in PODS["whichone-api"]["spec"]["volumes"] if v["name"] == "scratch"]
    room = int(scratch["emptyDir"]["sizeLimit"].removesuffix("Gi")) * 2**30
    defaults = Settings.model_fields
    assert room > defaults["max_waiting"].default * defaults["max_request_bytes"].default


def test_no_secret_is_in_the_repository() -> None:
    assert not [m for m in MANIFESTS if m["kind"] == "Secret"]
    assert (FOLDER / "example/.gitignore").read_text(encoding="utf-8") == "secrets/\n"
    for generator in kustomization("example")["secretGenerator"]:
        assert set(generator) == {"name", "files"}
        assert all("=secrets/" in file for file in generator["files"])
