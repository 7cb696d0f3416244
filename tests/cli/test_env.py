"""`synthcl env` and `--version`."""

from importlib.metadata import version


def test_the_version_is_that_of_the_package(synthcl):
    assert version("synthcl") in synthcl("--version").stdout


def test_the_environment_is_a_table_or_an_object(synthcl):
    found = synthcl("env", "--json").json
    table = synthcl("env").stdout
    assert found["synthcl"] == version("synthcl")
    for name, installed in found["packages"].items():
        assert name in table and (installed or "not installed") in table
