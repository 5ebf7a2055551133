from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, strategies as st

from crypto_archive.s5cmd.output import Copied, Failed, Fault, Folder, Listed, OtherLine, fault_of, parse_line

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "operation",
        "success",
        "source",
        "destination",
        "object",
        "command",
        "error",
        "key",
        "etag",
        "type",
        "size",
        "last_modified",
    ]
)
MESSAGES = Copied | Failed | Listed | Folder | OtherLine


@given(st.binary())
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"size":' + b"9" * 10_000 + b"}")
@example(b"\xff\xfe{")
def test_no_bytes_make_it_raise(line: bytes) -> None:
    assert isinstance(parse_line(line), MESSAGES)


@given(st.text())
def test_no_text_makes_it_raise(line: str) -> None:
    assert isinstance(parse_line(line), MESSAGES)


@given(st.dictionaries(FIELDS, JSON | st.just("s3://b/k") | st.just("9999-12-31T23:59:59-23:59")))
def test_no_document_of_known_fields_makes_it_raise(document: dict[str, object]) -> None:
    assert isinstance(parse_line(json.dumps(document)), MESSAGES)


def test_a_copy() -> None:
    line = (
        '{"operation":"cp","success":true,"source":"s3://b/q\'uo\\"te#+\\u0026.zip","destination":"d/q.zip",'
        '"object":{"type":"file","size":1500}}\n'
    )
    assert parse_line(line) == Copied("s3://b/q'uo\"te#+&.zip", "d/q.zip", 1500)


def test_a_copy_of_an_empty_object_has_no_size_field() -> None:
    line = b'{"operation":"cp","success":true,"source":"s3://b/k","destination":"k","object":{"type":"file"}}'
    assert parse_line(line) == Copied("s3://b/k", "k", 0)


def test_a_failure() -> None:
    line = (
        '{"operation":"cp","command":"cp s3://b/nope nope",'
        '"error":"NoSuchKey:  status code: 404, request id: 7F72, host id: N0Y3MjVG=="}'
    )
    assert parse_line(line) == Failed("cp s3://b/nope nope", "NoSuchKey: status code: 404")


@pytest.mark.parametrize("password", ["s3cret", "s3@cr/et@", "://x"])
def test_a_password_in_the_url_of_a_proxy_is_left_out(password: str) -> None:
    line = json.dumps({"error": f'parse "http://me:{password}@proxy:x": invalid port'})
    assert parse_line(line) == Failed("", 'parse "http://proxy:x": invalid port')


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        ("cp --raw=true s3://b/data/x/a [1]*.zip /proc/x", "cp s3://b/data/x/a [1]*.zip /proc/x"),
        ("cp --part-size=7 --raw=true s3://b/a b", "cp s3://b/a b"),
        (" ls s3://b/x*", "ls s3://b/x*"),
        ("cp s3://b/a --raw=true ", "cp s3://b/a --raw=true "),
    ],
)
def test_flags_in_a_failed_command_are_left_out(said: str, plain: str) -> None:
    assert parse_line(json.dumps({"command": said, "error": "mkdir /proc/nope"})) == Failed(plain, "mkdir /proc/nope")


def test_a_failure_before_any_command() -> None:
    line = r'{"error":"session: fetching region failed: Forbidden\n\tstatus code: 403, request id: , host id: "}'
    assert parse_line(line) == Failed("", "session: fetching region failed: Forbidden status code: 403")


def test_a_listed_object() -> None:
    line = (
        '{"key":"s3://data.binance.vision/data/spot/币.zip","etag":"a1a7","last_modified":"2026-11-23T04:52:13.017Z",'
        '"type":"file","size":4,"storage_class":"STANDARD"}'
    )
    when = datetime(2026, 11, 23, 4, 52, 13, 17_000, UTC)
    assert parse_line(line) == Listed("data/spot/币.zip", 4, "a1a7", when)


def test_an_empty_listed_object_has_no_size_field() -> None:
    line = '{"key":"s3://b/x","etag":"abc-2","last_modified":"2025-07-16T00:10:11Z","type":"file"}'
    assert parse_line(line) == Listed("x", 0, "abc-2", datetime(2025, 7, 16, 0, 10, 11, tzinfo=UTC))


def test_a_folder() -> None:
    assert parse_line('{"key":"s3://b/data/spot/","type":"directory"}') == Folder("data/spot/")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Incorrect Usage: flag provided but not defined: -frob",
        '{"operation":"cp","success":4,"error":1}',
        '{"key":"s3://b/x","last_modified":"yesterday","type":"file","size":4}',
        '{"key":"s3://b/x","last_modified":"2025-07-16T00:10:11Z","type":"file","size":-1}',
        '{"key":"s3://b/x","last_modified":"2025-07-16T00:10:11Z","type":"file","size":true}',
        '{"operation":"cp","success":true,"source":"s3://b/k","destination":"k","object":7}',
        '{"key":"s3://b/x","etag":"a',
    ],
)
def test_anything_else_is_noise(line: str) -> None:
    assert parse_line(line) == OtherLine(line)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        ("NoSuchKey: status code: 404", Fault.ABSENT),
        ("NotFound: Not Found status code: 404", Fault.ABSENT),
        ("no object found", Fault.ABSENT),
        ("AccessDenied: Access Denied status code: 403", Fault.DENIED),
        ("Forbidden: Forbidden status code: 403", Fault.DENIED),
        ("write ./B-1h-2025-07-02.zip100418144: no space left on device", Fault.DISK_FULL),
        ("write ./x: disk quota exceeded", Fault.DISK_FULL),
        ("open x: read-only file system", Fault.DISK_FULL),
        ("write data/x.zip1004: file too large", Fault.TOO_LARGE),
        ("open /root/x: permission denied", Fault.OTHER),
        ('RequestError: Get "http://h/b": dial tcp 127.0.0.1:1: connect: connection refused', Fault.UNREACHABLE),
        ('RequestError: Get "http://h/": dial tcp: lookup h on 10.0.0.1:53: no such host', Fault.UNREACHABLE),
        ('RequestError: Get "https://h/": dial tcp 10.0.0.1:443: i/o timeout', Fault.UNREACHABLE),
        ('Get "https://h/": tls: failed to verify certificate: x509: unknown authority', Fault.UNREACHABLE),
        ('Get "https://h/": http: server gave HTTP response to HTTPS client', Fault.UNREACHABLE),
        ("NoSuchBucket: The specified bucket does not exist status code: 404", Fault.UNREACHABLE),
        ("BucketRegionError: incorrect region, the bucket is not in 'x' region status code: 301", Fault.UNREACHABLE),
        ("bad value for --endpoint-url foo: scheme is missing", Fault.UNREACHABLE),
        ("BadRequest: Bad Request status code: 400", Fault.DENIED),
        ("InvalidArgument: what is this status code: 400", Fault.OTHER),
        ("ProxyAuthenticationRequired: Proxy Authentication Required status code: 407", Fault.UNREACHABLE),
        ("NetworkAuthenticationRequired: Network Authentication Required status code: 511", Fault.UNREACHABLE),
        ('Get "http://h/b": proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused', Fault.UNREACHABLE),
        ("RequestTimeout: Your socket was idle status code: 400", Fault.TRANSIENT),
        ("RequestTimeout: Request Timeout status code: 408", Fault.TRANSIENT),
        ("PreconditionFailed: Precondition Failed status code: 412", Fault.TRANSIENT),
        ("InvalidRange: The requested range is not satisfiable status code: 416", Fault.TRANSIENT),
        ("RequestedRangeNotSatisfiable: Requested Range Not Satisfiable status code: 416", Fault.TRANSIENT),
        ("TooManyRequests: Too Many Requests status code: 429", Fault.TRANSIENT),
        ("BadGateway: Bad Gateway status code: 502", Fault.TRANSIENT),
        ("GatewayTimeout: Gateway Timeout status code: 504", Fault.TRANSIENT),
        ("SlowDown: slow status code: 503", Fault.TRANSIENT),
        ("InternalError: status code: 500", Fault.TRANSIENT),
        ('Get "https://h/": net/http: TLS handshake timeout', Fault.TRANSIENT),
        ("unexpected EOF", Fault.TRANSIENT),
        ('Get "http://h/b/k": EOF', Fault.TRANSIENT),
        ("read tcp 10.0.0.2:1->10.0.0.1:443: read: connection reset by peer", Fault.TRANSIENT),
        ('Get "http://h/b/status code: 404/SlowDown": something new', Fault.OTHER),
        ("", Fault.OTHER),
    ],
)  # fmt: skip
def test_faults(error: str, fault: Fault) -> None:
    assert fault_of(error) is fault


@given(st.text())
def test_any_error_has_a_fault(error: str) -> None:
    assert fault_of(error) in Fault
