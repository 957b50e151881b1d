"""Tests of the log of a running service whose callers send texts that try to forge log lines."""

from __future__ import annotations

import json
import os
import re
import socket
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from tests.attacks.process import dli, serving
from tests.support.http_stack import NAME, ROOT, YAML
from tests.support.paths import PYTHONPATH

LINE = "2026-01-01T00:00:00.000+00:00 CRITICAL root: forged"
FORGED = [
    f"x{end}{LINE}"
    for end in ("\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029", "\x1b[2K\x1b[1G", "\x08" * 80)
]
BREAKS = re.compile("[\r\v\f\x1b\x08\x1c-\x1e\x85\u2028\u2029]")
CONSOLE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 [A-Z]+ [\w.]+: ")
HEADERS = [
    "X-Request-ID",
    "Idempotency-Key",
    "If-Match",
    "Prefer",
    "Last-Event-ID",
    "traceparent",
    "User-Agent",
    "Host",
]


def write_everything(url: str, text: str) -> None:
    """Send this text in each place of a request that may reach the log."""
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        whole = quote(text, safe="")
        for path in (
            f"/{whole}",
            f"{ROOT}/{whole}",
            f"{ROOT}/runs/{whole}",
            f"{ROOT}?owner={whole}",
            f"{ROOT}?{whole}=1",
        ):
            client.get(path)
        bodies: list[tuple[str, Any]] = [
            (
                "register",
                {
                    "dataset_name": text,
                    "yaml_content": text,
                    "owner": text,
                    "schedule": {"cron": text, "timezone": text},
                },
            ),
            (f"{NAME}/run", {"params": {"region": text, text: text}}),
            (f"{NAME}/run", {"params": {"region": text}}),
            (f"{NAME}/pause", {"reason": text}),
            (f"{NAME}/pause", {text: text}),
            (f"{NAME}/unpause", None),
        ]
        for path, body in bodies:
            client.post(f"{ROOT}/{path}", json=body)
    parts = urlsplit(url)
    for header in HEADERS:  # HTTP clients refuse to send such a header
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
            value = re.sub("[\r\n\0]", "", text).encode("utf-8")
            head = f"POST {ROOT}/{NAME}/run HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n".encode()
            host = b"" if header == "Host" else b"Host: localhost\r\n"
            connection.sendall(head + host + header.encode() + b": " + value + b"\r\n\r\n")
            while connection.recv(65_536):
                pass


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_request_text_forges_a_log_line(tmp_path, form):
    """At DEBUG and with an active worker, each line has the usual beginning, and none contains a line break or a
    terminal control character.
    """
    log = tmp_path / "log"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": PYTHONPATH,
        "WORKFLOWS_DATABASE_URL": f"sqlite:///{tmp_path / 'db'}",
        "WORKFLOWS_STORAGE_URL": f"file://{tmp_path / 'store'}",
        "WORKFLOWS_AIRFLOW_API": "memory",
        "WORKFLOWS_LOG_LEVEL": "DEBUG",
        "WORKFLOWS_LOG_FORMAT": form,
        "WORKFLOWS_SWEEP_INTERVAL": "0.2",
        "WORKFLOWS_PORT": "0",
        "WORKFLOWS_DRAIN": "0",
    }
    dli(environment, "db", "upgrade")
    with serving(environment, log) as url:
        body = {"dataset_name": NAME, "yaml_content": YAML}
        assert httpx.post(f"{url}{ROOT}/register", json=body, trust_env=False, timeout=30).status_code == 201
        for text in FORGED:
            write_everything(url, text)
    lines = [
        line for line in log.read_text("utf-8").split("\n") if line and not line.startswith(("Serving at ", "Stopp"))
    ]
    assert len(lines) > 10 * len(FORGED)
    assert [line for line in lines if BREAKS.search(line)] == []
    if form == "json":
        levels = {json.loads(line)["level"] for line in lines}
        assert levels <= {"DEBUG", "INFO", "WARNING"}
    else:
        assert [line for line in lines if not CONSOLE.match(line) and not line.startswith("  | ")] == []
        assert [line for line in lines if line.startswith(LINE[:30])] == []
    assert any("forged" in line for line in lines)
