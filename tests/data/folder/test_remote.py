import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import fsspec
import pytest

from ndvq_tune.data.folder import remote
from ndvq_tune.data.folder.files import SourceFile, find_files, has_folder, join, list_folder, local
from ndvq_tune.errors import DataError

MP4 = frozenset({".mp4"})
ZARR = frozenset({".zarr"})
FILES = {
    "train/a b.mp4": b"12345",
    "train/日本/é#1%20.MP4": b"123",
    "train/.hidden/c.mp4": b"1",
    "train/d.txt": b"1",
    "test/x.zarr/.zarray": b"{}",
    "test/x.zarr/c/0/0": b"1234",
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A real S3 server on this machine, with a bucket in it."""
    server_module = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    from pyarrow.fs import S3FileSystem

    client = S3FileSystem(
        access_key="k", secret_key="s", endpoint_override=f"http://{host}:{port}", allow_bucket_creation=True
    )
    client.create_dir("bucket")
    for name, content in FILES.items():
        with client.open_output_stream(f"bucket/my data/{name}") as out:
            out.write(content)
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def memory() -> Iterator[str]:
    storage = fsspec.filesystem("memory")
    for name, content in FILES.items():
        storage.pipe(f"/my data/{name}", content)
    yield "memory://my data"
    storage.rm("/my data", recursive=True)


@pytest.fixture(autouse=True)
def _no_other_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    remote._filesystem.cache_clear()


@pytest.fixture(params=["endpoint in the URI", "endpoint in the environment", "fsspec"])
def folder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "fsspec":
        return str(request.getfixturevalue("memory"))
    server = request.getfixturevalue("server")
    if request.param == "endpoint in the URI":
        return f"s3://bucket/my data?endpoint_override={server}&region=us-east-1"
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    return "s3://bucket/my%20data/"


def content(file: SourceFile) -> bytes:
    with local(file) as path:
        return path.read_bytes()


def test_remote_files_are_found_and_fetched_by_their_names(folder: str) -> None:
    listing = find_files(join(folder, "train"), MP4)
    assert {file.name: (file.size, content(file)) for file in listing.files} == {
        "a b.mp4": (5, b"12345"),
        "日本/é#1%20.MP4": (3, b"123"),
    }
    assert [file.name for file in listing.files] == sorted(file.name for file in listing.files)
    assert listing.unreadable == {}


def test_names_are_below_the_folder_that_was_searched(folder: str) -> None:
    assert [file.name for file in find_files(folder, MP4).files] == ["train/a b.mp4", "train/日本/é#1%20.MP4"]


def test_times_are_known(folder: str) -> None:
    for file in find_files(folder, MP4 | ZARR).files:
        assert file.modified > 1_600_000_000 * 10**9


def test_a_copy_keeps_its_suffix_and_is_removed(folder: str) -> None:
    file = find_files(folder, MP4).files[0]
    with local(file) as path:
        assert path.name == "a b.mp4"
    assert not path.parent.exists()


def test_a_remote_zarr_folder_is_one_file_and_fetched_whole(folder: str) -> None:
    (file,) = find_files(folder, ZARR).files
    assert (file.name, file.size) == ("test/x.zarr", 6)
    with local(file) as path:
        parts = {part.relative_to(path).as_posix(): part.read_bytes() for part in path.rglob("*") if part.is_file()}
    assert path.name == "x.zarr"
    assert parts == {".zarray": b"{}", "c/0/0": b"1234"}


def test_remote_folders_are_listed_for_messages(folder: str) -> None:
    assert list_folder(folder, 5) == ["test/", "train/"]
    assert list_folder(join(folder, "train"), 2) == ["a b.mp4", "d.txt"]
    assert has_folder(folder, "train")
    assert not has_folder(folder, "valid")


def test_missing_remote_folders_are_named(folder: str) -> None:
    missing = join(folder, "nothing")
    for look in (lambda: find_files(missing, MP4), lambda: list_folder(missing, 5)):
        with pytest.raises(DataError) as caught:
            look()
        assert str(caught.value) == f"{missing}: no such folder, file or bucket"


def test_a_remote_file_that_is_gone_is_named(folder: str) -> None:
    file = SourceFile("a.mp4", join(folder, "gone/a.mp4"), 1, 1)
    with pytest.raises(DataError, match=r"gone/a\.mp4.*: no such folder, file or bucket"), local(file):
        pass


def test_a_file_is_not_a_folder(folder: str) -> None:
    with pytest.raises(DataError, match=r"d\.txt"):
        find_files(join(folder, "train/d.txt"), MP4)


def test_new_files_are_seen(memory: str) -> None:
    assert len(find_files(memory, MP4).files) == 2
    fsspec.filesystem("memory").pipe("/my data/new.mp4", b"1")
    assert len(find_files(memory, MP4).files) == 3


def test_a_missing_bucket_is_named(server: str) -> None:
    with pytest.raises(DataError, match=r"^s3://other/data\?.*: no such folder, file or bucket$"):
        find_files(f"s3://other/data?endpoint_override={server}", MP4)


def test_a_whole_bucket_can_be_the_folder(server: str) -> None:
    assert list_folder(f"s3://bucket?endpoint_override={server}&region=us-east-1", 5) == ["my data/"]


def test_one_connection_serves_all_files_of_a_bucket(server: str) -> None:
    for file in find_files(f"s3://bucket/my data?endpoint_override={server}", MP4).files:
        content(file)
    assert remote._filesystem.cache_info().misses == 1


def test_no_bucket_is_an_error() -> None:
    with pytest.raises(DataError, match="s3://: cannot be read: Missing bucket name"):
        find_files("s3://", MP4)


@pytest.mark.parametrize("secret", ["secret", "sec/secret", "secret%2F"])
def test_a_dead_endpoint_is_an_error_with_a_hint(secret: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        uri = f"s3://key:{secret}@bucket/data?endpoint_override=http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(DataError) as caught:
            find_files(uri, MP4)
    assert "cannot be read: " in str(caught.value)
    assert "AWS_ENDPOINT_URL" in str(caught.value)
    assert "sec" not in str(caught.value)


def test_a_silent_endpoint_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_SECONDS", 1)
    monkeypatch.setattr(remote, "_ATTEMPTS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"s3://bucket/data?endpoint_override=http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DataError, match="cannot be read: "):
            find_files(uri, MP4)


def test_an_s3_file_system_is_pickled_as_the_arguments_that_make_it() -> None:
    """pyarrow tells none of them otherwise, and a URI has no timeouts."""
    from pyarrow.fs import S3FileSystem

    filesystem = S3FileSystem(access_key="k", secret_key="s", region="eu-west-1", endpoint_override="http://host:1")
    _, (options,) = filesystem.__reduce__()
    assert S3FileSystem(**options) == filesystem, "pyarrow pickles an S3FileSystem another way: see remote._impatient"
    _, (impatient,) = remote._impatient(filesystem).__reduce__()
    assert impatient == options | {"connect_timeout": 5, "request_timeout": 10}


def test_google_storage_does_not_try_for_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow.fs import FileSystem

    asked = []
    monkeypatch.setattr(
        "pyarrow.fs.FileSystem", type("Spy", (), {"from_uri": lambda uri: asked.append(uri) or _fail()})
    )
    for uri in ("gs://b/x", "gs://b/x?scheme=http"):
        with pytest.raises(DataError, match="GOOGLE_APPLICATION_CREDENTIALS"):
            find_files(uri, MP4)
    assert asked == ["gs://b/?retry_limit_seconds=10", "gs://b/?scheme=http&retry_limit_seconds=10"]
    for uri in asked:
        assert FileSystem.from_uri(uri)[1].rstrip("/") == "b"


def _fail() -> None:
    raise OSError("no credentials")


@pytest.mark.parametrize(
    ("uri", "reason"),
    [("foo://bucket/x", "Protocol not known: foo"), ("s3://bucket/x?colour=red", "Unexpected query parameter")],
)
def test_uris_that_nothing_reads_are_errors(uri: str, reason: str) -> None:
    with pytest.raises(DataError) as caught:
        find_files(uri, MP4)
    assert str(caught.value).startswith(f"{uri}: cannot be read: {reason}")


def test_the_package_that_a_scheme_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # As if it were not installed.
    monkeypatch.setitem(sys.modules, "paramiko", None)
    monkeypatch.delitem(sys.modules, "fsspec.implementations.sftp", raising=False)
    with pytest.raises(DataError, match="paramiko"):
        find_files("sftp://host/x", MP4)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(DataError, match=r"sftp://host/x: .*pip install 'ndvq-tune\[remote\]'"):
        find_files("sftp://host/x", MP4)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("s3://key:sec/ret@bucket/a", "s3://***@bucket/a"),
        ("cannot parse 's3://key:secret@bucket/a b'", "cannot parse 's3://***@bucket/a b'"),
        ("s3://key:123@bucket/a", "s3://***@bucket/a"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        (
            "s3://b/x?endpoint_override=http://host:90&region=a@b",
            "s3://b/x?endpoint_override=http://host:90&region=a@b",
        ),
        ("hdfs://host:8020/a@b", "hdfs://host:8020/a@b"),
        ("gs://anonymous@bucket/a", "gs://anonymous@bucket/a"),
    ],
)
def test_passwords_are_not_shown(message: str, expected: str) -> None:
    assert remote.shown(message) == expected


def test_only_other_schemes_than_file_are_remote() -> None:
    assert [remote.is_remote(path) for path in ("s3://a/b", "memory://a", "file:///a", "FILE:///a", "a/b")] == [
        True, True, False, False, False
    ]  # fmt: skip


def test_joining_keeps_the_query_at_the_end() -> None:
    joined = remote.join("s3://bucket/a/?region=x", "b c/d?.mp4")
    assert joined == "s3://bucket/a/b%20c/d%3F.mp4?region=x"
    assert urlsplit(joined).query == "region=x"
    assert remote.join("memory://a", "b c") == "memory://a/b c"


def test_pyarrow_is_loaded_only_where_it_is_needed() -> None:
    code = "import sys, ndvq_tune.data.folder.remote as r, pathlib; sys.exit('pyarrow.fs' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path.cwd()).returncode == 0
