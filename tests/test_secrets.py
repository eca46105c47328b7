"""Secrets are found, ordinary text is not, and what is found is not repeated."""

from __future__ import annotations

import re
import string
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from detect_secrets.plugins.keyword import DENYLIST
from hypothesis import given, settings
from hypothesis import strategies as st

from gitrelease.core.finding import AllowedSecret, Finding, Severity
from gitrelease.secrets import MOST_FINDINGS, allowed, find
from gitrelease.secrets.detectors import SHAPES, Shape

PASSWORD = "hunter2x"
# Put together here, so that scanners of this repository have nothing to find.
AWS = "AKIA" + "QWERTYUIOPASDFGH"
GITHUB = "ghp_" + "a1B2" * 9
RANDOM = "Zx9QwErTy7UiOpAs3DfGhJkL" + "zXcVbNm1QwErTy2z"
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"

SECRETS = [
    ("a.job.yaml", f"password: {PASSWORD}"),
    ("a.job.yaml", f'  db_password: "{PASSWORD}"'),
    ("a.job.yaml", f"passwd: '{PASSWORD}'  # for now"),
    ("a.job.yaml", f'scriptArgs: "day=1\\npassword={PASSWORD}\\nregion=eu"'),
    ("a.job.yaml", 'body: "{\\"password\\": \\"' + PASSWORD + '\\"}"'),
    ("a.job.yaml", f"statement: \"CREATE USER a IDENTIFIED BY '{PASSWORD}'\""),
    ("a.job.yaml", "headers: 'Authorization: Basic dXNlcjpwYXNzd29yZA=='"),
    ("a.job.yaml", "db_password: {value: " + PASSWORD + ", type: constants}"),
    ("a.job.yaml", f"db_password:\n  type: constants\n  value: {PASSWORD}"),
    ("a.job.yaml", f"password: |\n\n  {PASSWORD}\n"),
    ("a.job.yaml", f"password:\n  {PASSWORD}\n"),
    ("a.job.yaml", f"- name: password\n  value: {PASSWORD}"),
    ("a.job.yaml", '- {"name": "password", "value": "' + PASSWORD + '"}'),
    ("a.job.yaml", f"password: ${{prefix}}{PASSWORD}"),
    ("a.job.yaml", f"password: ${{ok}}\npassword: {PASSWORD}"),
    ("a.job.yaml", f"url: jdbc:postgresql://h/d?user=a&password={PASSWORD}"),
    ("a.job.yaml", f"url: postgres://u:{PASSWORD}@h/d"),
    ("a.job.yaml", f"fs.obs.secret.key: {RANDOM}"),
    ("a.job.yaml", "X-Auth-Token: 0123456789abcdef0a1b2c3d4e5f6a7b"),
    ("a.job.yaml", f"x: {AWS}"),
    ("a.job.yaml", f"x: {GITHUB}"),
    ("a.job.yaml", f"x: {JWT}"),
    ("a.job.yaml", "pem: |\n  -----BEGIN RSA PRIVATE KEY-----\n"),
    ("a.sql", f"CREATE USER x PASSWORD '{PASSWORD}';"),
    ("a.sql", f"  'password' = '{PASSWORD}',"),
    ("a.sql", f"SET password='{PASSWORD}';"),
    ("a.py", f'connect(password="{PASSWORD}")'),
    ("a.py", "d = {'api_key': '" + PASSWORD + "'}"),
    ("a.sh", f"PASSWORD={PASSWORD}"),
    ("a.sh", f"PASSWORD=/{PASSWORD}"),
    ("a.yaml", f"pa\u017f\u017fword: {PASSWORD}"),
    ("a.yaml", "x: glcbt-" + "a1B2" * 6),
    ("a.sh", f'export DB_PASSWORD="{PASSWORD}"'),
    ("a.sh", f"mysql --password {PASSWORD}"),
    ("a.sh", 'curl -H "Authorization: Bearer abcdefgh123456"'),
]

NO_SECRETS = [
    ("a.job.yaml", "password: ${password}"),
    ("a.job.yaml", "password: '#{Env.get(\"p\")}'"),
    ("a.job.yaml", 'password: "{{ password }}"'),
    ("a.job.yaml", 'password: ""'),
    ("a.job.yaml", "password:\nowner: somebody"),
    ("a.job.yaml", "password: ******"),
    ("a.job.yaml", "password: <placeholder>"),
    ("a.job.yaml", "password: # in production only"),
    ("a.job.yaml", "password: null"),
    ("a.job.yaml", "db_password: {value: '${x}', type: variable}"),
    ("a.job.yaml", "db_password:\n  value: ${x}"),
    ("a.job.yaml", "secretName: somewhere"),
    ("a.job.yaml", "password_file: somewhere"),
    ("a.job.yaml", "max_password_age: 90"),
    ("a.job.yaml", "description: ask for the password: it changes"),
    ("a.job.yaml", 'statement: "UPDATE u SET password = n.password"'),
    ("a.job.yaml", 'statement: "UPDATE u SET password = new_password"'),
    ("a.job.yaml", "- name: refresh_password\n  type: HiveSQL\n  properties:\n    value: clean-orders"),
    ("a.job.yaml", "primary_key: orders_clean_summary_number_1"),
    ("a.job.yaml", "key: 6f0c1d2e-1111-4222-8333-abcdefabcdef"),
    ("a.job.yaml", "url: postgres://u:${p}@h/d"),
    ("a.job.yaml", "token_type: bearer"),
    ("a.job.yaml", "api_key: https://vault.example.org/orders"),
    ("a.job.yaml", "statement: SET password=lookup('orders')"),
    ("a.sql", "WHERE u.password = p.password"),
    ("a.sql", "password VARCHAR(64), `password` = '${p}'"),
    ("a.sql", "CREATE USER x IDENTIFIED BY '${p}'"),
    ("a.sql", "AND password = ''"),
    ("a.py", 'password = os.environ["PASSWORD"]'),
    ("a.py", "connect(password=password)"),
    ("a.py", 'f"https://u:{password}@h"'),
    ("a.py", 'password = "%s"'),
    ("a.sh", "PASSWORD=$P"),
    ("a.sh", 'PASSWORD="$(vault read x)"'),
    ("a.sh", "PASSWORD=`vault read x`"),
    ("a.sh", 'mysql --password "$P"'),
    ("a.sh", "PWD=/tmp"),
]


@pytest.mark.parametrize(("file", "text"), SECRETS)
def test_secrets_are_found_and_not_repeated(file: str, text: str) -> None:
    findings = find(file, text.encode())
    assert findings
    assert all(finding.code == "secret" and finding.severity is Severity.ERROR for finding in findings)
    for secret in (PASSWORD, AWS, GITHUB, RANDOM, JWT, "dXNlcjpwYXNzd29yZA", "0123456789abcdef", "abcdefgh"):
        assert secret[:4] not in str(findings).replace("gitrelease", "")


@pytest.mark.parametrize(("file", "text"), NO_SECRETS)
def test_ordinary_text_is_no_secret(file: str, text: str) -> None:
    assert find(file, text.encode()) == []


def test_a_finding_names_the_line_and_shows_two_characters() -> None:
    (finding,) = find("jobs/a.job.yaml", f"name: a\n\npassword: {PASSWORD}\n".encode())
    assert (finding.file, finding.line) == ("jobs/a.job.yaml", 3)
    assert finding.message == "this looks like a secret: a value for 'password', hu…"
    (short,) = find("a.sh", b"PASSWORD=abc")
    assert short.message == "this looks like a secret: a value for 'PASSWORD'"


def test_a_name_is_repeated_only_if_it_is_one() -> None:
    told = f"- name: 'my password is {PASSWORD}'\n  value: {PASSWORD}\n"
    assert PASSWORD not in str(find("a.yaml", told.encode()))


def codes(findings: list[Finding]) -> list[tuple[str, int | None]]:
    return [(finding.code, finding.line) for finding in findings]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("a.job.yaml", f"password: {PASSWORD}  # gitrelease: allow-secret made up"),
        ("a.sql", f"SET password='{PASSWORD}'; -- gitrelease: allow-secret made up"),
        ("a.sh", f"PASSWORD={PASSWORD} # gitrelease: allow-secret   made up "),
    ],
)
def test_a_secret_with_a_reason_is_let_through_and_listed(file: str, line: str) -> None:
    data = f"one\n{line}\n".encode()
    assert find(file, data) == []
    assert allowed(file, data) == [AllowedSecret(file=file, line=2, reason="made up")]


def test_a_comment_without_a_reason_allows_nothing() -> None:
    data = f"password: {PASSWORD} # gitrelease: allow-secret \n".encode()
    assert codes(find("a.yaml", data)) == [("allow-secret-reason", 1), ("secret", 1)]
    assert allowed("a.yaml", data) == []
    pragma = f"password: {PASSWORD} # pragma: allowlist secret\n".encode()
    assert codes(find("a.yaml", pragma)) == [("secret", 1)], "only our own comment counts, with its reason"


def test_a_comment_counts_for_its_line_and_for_the_value_below_a_name() -> None:
    other_line = f"# gitrelease: allow-secret made up\npassword: {PASSWORD}\n".encode()
    assert codes(find("a.yaml", other_line)) == [("secret", 2)]
    at_the_name = f"password: # gitrelease: allow-secret made up\n  value: {PASSWORD}\n".encode()
    assert find("a.yaml", at_the_name) == []


def test_after_a_hundred_lines_the_rest_is_not_listed() -> None:
    findings = find("a.yaml", f"password: {PASSWORD}\n".encode() * 300)
    assert len(findings) == MOST_FINDINGS + 1
    assert findings[-1].message == "more than 100 lines look like secrets; the others are not listed"


@pytest.mark.parametrize("padding", range(4000, 4200, 7))
def test_a_secret_in_a_line_of_any_length_is_found_once(padding: int) -> None:
    line = "x" * padding + f" password={PASSWORD}; x={AWS} " + "y" * 9000 + f" password={PASSWORD}"
    assert len(find("a.yaml", line.encode())) == 2


def test_a_reference_is_none_where_a_long_line_is_cut() -> None:
    assert find("a.yaml", b"password=${password} " * 2000) == []
    assert find("a.sh", b"mysql --password ${password} " * 2000) == []


@given(st.binary(), st.sampled_from(["a.job.yaml", "a.sql", "a.py", "a.sh", "a", ""]))
def test_no_bytes_are_too_strange(data: bytes, file: str) -> None:
    find(file, data)
    allowed(file, data)


words = st.sampled_from(
    [
        *(
            "password",
            "secret",
            "name",
            "value",
            ":",
            "=",
            " ",
            "\n",
            "'",
            '"',
            "\\",
            "{",
            "}",
            "${",
            "|",
            "#",
            "--",
        )
    ]
)


@given(st.lists(words).map("".join), st.sampled_from(["a.job.yaml", "a.sql", "a.sh"]))
def test_no_assignment_is_too_strange(text: str, file: str) -> None:
    find(file, text.encode())


PLACEHOLDER = re.compile(r"x{3,}|[0-9]{1,3}|none|null|nil|true|false|yes|no|[.~]+|:\w+", re.IGNORECASE)


def patterns(shape: Shape) -> list[re.Pattern[str]]:
    found: list[re.Pattern[str]] = list(shape.detector.denylist)  # type: ignore[attr-defined]
    assert found
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape.detector.secret_type))
@settings(max_examples=60)
@given(data=st.data())
def test_a_detector_finds_nothing_in_a_line_without_its_texts(shape: Shape, data: st.DataObject) -> None:
    """This is what lets a search for a few texts stand before the patterns."""
    pattern = data.draw(st.sampled_from(patterns(shape)))
    alphabet = st.one_of(st.sampled_from(string.printable), st.sampled_from("\u017f\u212a\u0131\u0130é"))
    text = data.draw(st.from_regex(pattern, fullmatch=True, alphabet=alphabet))
    for character, letter in (("\u017f", "s"), ("\u212a", "k"), ("\u0131", "i"), ("\u0130", "i")):
        text = text.replace(character, letter)
    found = text.encode()
    assert any(literal in found for literal in shape.exact) or any(
        literal in found.lower() for literal in shape.any_case
    )


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape.detector.secret_type))
@settings(max_examples=30)
@given(data=st.data())
def test_what_a_detector_finds_is_found_in_a_file(shape: Shape, data: st.DataObject) -> None:
    pattern = data.draw(st.sampled_from(patterns(shape)))
    alphabet = string.ascii_letters + string.digits + "_-.:/=@\"' "
    text = data.draw(st.from_regex(pattern, fullmatch=True, alphabet=alphabet))
    hits = list(shape.detector.analyze_string(text))
    # A placeholder is no secret, even where a password has its place: `://user:xxx@`.
    if hits and not any(PLACEHOLDER.fullmatch(hit) for hit in hits):
        assert find("a.txt", f"first\n{text}\n".encode())[0].line == 2


@pytest.mark.parametrize("name", sorted({name.replace("_?", "_") for name in DENYLIST}))
def test_every_name_that_detect_secrets_knows_is_one(name: str) -> None:
    assert find("a.yaml", f"my_{name}: {PASSWORD}".encode())


def test_threads_do_not_disturb_each_other() -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(
            pool.map(lambda pair: bool(find(pair[0], pair[1].encode())), (SECRETS + NO_SECRETS) * 10)
        )
    assert results == ([True] * len(SECRETS) + [False] * len(NO_SECRETS)) * 10


LENGTH = 2**18


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"eyJ",
            b"sk-",
            b"password",
            b"password ",
            b"password=${x} ",
            b"awskey",
            b"://a:",
            b"key=\"'`",
            b"\n",
        ),
        *(
            b"password:\n",
            b"# gitrelease: allow-secret x\n",
            b"--token ",
            b"sk-" * 1000 + b"T3BlbkFJ",
            b"AC",
            b"x",
        ),
    ],
    ids=lambda data: repr(data[:20]),
)
def test_long_files_made_to_be_slow_are_not(data: bytes) -> None:
    started = time.perf_counter()
    find("a.yaml", (data * (LENGTH // len(data) + 1))[:LENGTH])
    assert time.perf_counter() - started < 10, "well below a second is usual"
