"""Tests of storage adapters from installed packages, selected by the scheme of the URL."""

from __future__ import annotations

import sys

import pytest

from workflow_adapters.storage import open_storage
from workflow_adapters.storage.filesystem import FilesystemStorage
from workflow_adapters.storage.installed import GROUP
from workflow_core.errors import ConfigurationError
from workflow_core.fakes.storage import InMemoryStorage

opened_urls: list[str] = []


def open_fake(url):
    """The adapter of a package that works."""
    opened_urls.append(url)
    return InMemoryStorage()


def open_nothing(_url):
    """The adapter of a package that returns something else."""
    return "a store"


def open_wrong(url):
    """The adapter of a package that fails, with the URL in the text of its error."""
    raise ValueError(url)


def open_misconfigured(_url):
    """The adapter of a package that refuses its settings."""
    raise ConfigurationError("ARCHIVE_KEY is missing")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install packages, each with one entry point: pairs of a scheme and a callable of this module, or any other path."""

    def install(*points):
        for number, (scheme, target) in enumerate(points):
            folder = tmp_path / f"package_{number}-1.0.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: package-{number}\nVersion: 1.0\n")
            (folder / "entry_points.txt").write_text(f"[{GROUP}]\n{scheme} = {target}\n")
        (tmp_path / "archive_adapter.py").write_text(
            f"import sys\nhere = sys.modules[{__name__!r}]\n"
            "open_fake, open_nothing, open_wrong = here.open_fake, here.open_nothing, here.open_wrong\n"
            "open_misconfigured = here.open_misconfigured\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "archive_adapter", raising=False)

    return install


def test_the_adapter_of_the_scheme_gets_the_url_as_written(installed):
    """The URL includes query and fragment, which the adapter interprets."""
    installed(("archive", "archive_adapter:open_fake"))
    opened_urls.clear()
    url = "archive://user:secret@host/a%20b?mode=ro#part"
    assert isinstance(open_storage(url), InMemoryStorage)
    assert opened_urls == [url]


def test_built_in_schemes_cannot_be_replaced(installed, tmp_path):
    """An installed package cannot redirect the specs of a service that uses a folder."""
    installed(("file", "archive_adapter:open_fake"), ("memory", "archive_adapter:open_fake"))
    opened_urls.clear()
    assert isinstance(open_storage(f"file://{tmp_path}"), FilesystemStorage)
    with pytest.raises(ConfigurationError, match="is not a store"):
        open_storage("memory://host")
    assert opened_urls == []


def test_a_scheme_of_no_package_is_rejected(installed):
    """The error lists the possible URLs."""
    installed(("archive", "archive_adapter:open_fake"))
    with pytest.raises(ConfigurationError, match="is not a store; write s3://"):
        open_storage("gs://bucket")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("archive_adapter:open_nothing", "returned str, which is not a StoragePort"),
        ("archive_adapter:open_wrong", "archive_adapter:open_wrong, cannot be opened: ValueError"),
        ("archive_adapter:missing", "cannot be opened: AttributeError"),
        ("no_such_module:open", "cannot be opened: ModuleNotFoundError"),
        ("archive_adapter:open_misconfigured", "ARCHIVE_KEY is missing"),
    ],
)
def test_an_adapter_that_cannot_be_opened_is_a_configuration_error(installed, target, message):
    """The message names the entry point, and not the URL, which may contain a password."""
    installed(("archive", target))
    with pytest.raises(ConfigurationError, match=message) as raised:
        open_storage("archive://user:secret@host")
    assert "secret" not in raised.value.message


def test_two_packages_of_one_scheme_are_rejected(installed):
    """The adapter must not depend on the order of installation."""
    installed(("archive", "archive_adapter:open_fake"), ("archive", "archive_adapter:open_nothing"))
    with pytest.raises(ConfigurationError, match="archive_adapter:open_fake, archive_adapter:open_nothing"):
        open_storage("archive://host")
