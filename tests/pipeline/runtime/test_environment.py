"""What is said of the installation."""

import importlib.metadata
import json

import pytest
import torch

from synthcl.pipeline.runtime import environment
from synthcl.pipeline.runtime.environment import describe_environment, processor, required_packages, version_of


def test_versions_devices_and_the_cpu_are_told(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MY_PASSWORD", "secret")
    found = json.loads(json.dumps(describe_environment()))
    assert found["packages"]["torch"] == importlib.metadata.version("torch")
    assert found["cpu"]["capability"] and found["cpu"]["threads"] == torch.get_num_threads()
    assert len(found["devices"]) >= torch.cuda.device_count()
    assert found["variables"]["OMP_NUM_THREADS"] == "1" and "secret" not in json.dumps(found)


def test_packages_are_those_of_the_project_but_not_of_its_tests(monkeypatch):
    wanted = [
        "torch>=2.11",
        "pyyaml",
        'timm>=1.0; extra == "timm"',
        'pytest>=8; extra == "test"',
        'mypy; extra == "lint"',
    ]
    monkeypatch.setattr(environment.importlib.metadata, "requires", lambda name: wanted)
    assert required_packages() == ["torch", "pyyaml", "timm"]


def test_a_package_that_is_not_there_has_no_version():
    assert version_of("synthcl") and version_of("no-such-package-of-anyone") is None


@pytest.mark.parametrize(
    ("told", "name"),
    [("processor\t: 0\nmodel name\t: AMD EPYC: 9\nmodel name\t: another\n", "AMD EPYC: 9"), ("", "some-architecture")],
)
def test_the_processor_has_the_name_that_the_system_tells_or_its_architecture(monkeypatch, tmp_path, told, name):
    file = tmp_path / "cpuinfo"
    file.write_text(told)
    monkeypatch.setattr(environment, "CPU_FILE", file)
    monkeypatch.setattr(environment.platform, "machine", lambda: "some-architecture")
    assert processor() == f"{name}, {torch.backends.cpu.get_cpu_capability()}"
    file.unlink()
    assert processor().startswith("some-architecture, ")
