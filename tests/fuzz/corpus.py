"""Valid inputs of each kind, and pieces of its grammar that are put into them."""

from __future__ import annotations

from typing import Final

from workflow_core.domain.paging import encode_cursor

SPECS: Final = (
    """\
# who, what, when
version: v1
name: iceberg.analytics.daily_clicks
owner: data@example.com
team: "@data-eng"
description: 'Clicks, one row a day'
schedule: {cron: "0 6 * * *", timezone: America/New_York}
start_date: 2026-01-01
params:
  region: US
  limit: {default: 10, type: integer, enum: [10, 20], description: how many}
tasks:
  - task_id: extract
    operator: bash
    bash_command: |
      echo one
      echo "{{ run_date() }}"
  - task_id: load
    operator: airflow.providers.standard.operators.empty.EmptyOperator
    dependencies: [extract]
    retries: 2
""",
    "version: v1\nname: daily_clicks\nowner: o\nschedule: {cron: 0 6 1 1 *}\n",
    "version: v1\nname: daily_clicks\nowner: o\nschedule:\n  cron: '*/5 * * * *'\nstart_date: 2026-01-01T10:00:00+02:00\n",
    "version: v1\nname: a\nowner: &o [x, y]\nparams: {a: *o, b: {c: &c 1.5e3, d: *c}, e: null, f: true, g: -0x1F}\n",
    '{"version": "v1", "name": "a", "tasks": [{"task_id": "t", "operator": "http", "endpoint": "/x", "method": "GET"}]}',
    "version: v1\nname: a\ntasks:\n- {task_id: a, operator: empty, dependencies: [b]}\n- {task_id: b, operator: empty}\n",
    '%YAML 1.2\n---\nversion: v1\nname: a\ndescription: >-\n  folded\n  text\n\n  more\nowner: "tab\\t \\x41 \\u263A \\U0001F600"\nschedule: {cron: 0 6 * * *}\n...\n',
    "version: v1\nname: a # c\nschedule: {cron: '0 6 * * *'}\nowner: >2-  # who\n   deeper\n  o\n\n  p\ndescription: |+\n\n  a\n \n\ntasks:\n- task_id: t\n  operator: bash\n  bash_command: >\n    cd /tmp\n    && ls\n\n      deeper\n    end\n",
    "version: v1\r\nname: a # c\r\nowner:\r\nteam: 'a\r\n\r\n  b'\r\nparams: {t: 2026_01_02, u: 1_000, v: 0b11, w: 0o17, x: 012, y: .5, z: 12e03} # d\r\n",
    'version: v1\nname: a\nowner: "\\ud83d\\ude00 \\a\\e\\N\\_\\L\\P\\/ \\\n  folded \\\n\n  text"\nteam:\ta\u2028b\u0085c\t# d\ndescription: |-\n  a\u2028\u0085\u2029\n',
    "? version\n: v1\n? name\n: !!str a\nparams: {x: {default: 1, type: number, enum: [1, 2.0]}}\n",
    "version: v1\nname: a\nparams: {a: {default: 1, type: integer, minimum: 0, title: t}, b: {defualt: 5}, c: {type: string}, d: {default: {low: 1}}, e: {}}\n",
    "version: v1\nname: a\ncatchup: no\ntags: [a]\ntasks:\n- {task_id: a, operator: bash, bash_command: ./x.sh, env: {A: 1}, append_env: no, retry_delay: 5m}\n"
    "- {task_id: b, operator: python, python_callable: a.b, op_kwargs: {a: [{__type__: datetime.timedelta, minutes: 5}], b: off}, retries: -1, depends_on: [a]}\n"
    "- {task_id: c, operator: sql, sql: [SELECT 1], conn_id: db, execution_timeout: 1e300, trigger_rule: all_sucess, pool_slots: 0, parameters: [no]}\n",
    "version: v1\nname: a\nschedule: {cron: 0 22 * * *, timezone: Europe/Zurich}\nstart_date: 2027-03-28T02:30\n",
)
LONG_SPECS: Final = (
    SPECS[0]
    + "".join(
        f"  - task_id: t{n}\n    operator: bash\n    bash_command: echo {n}\n    dependencies: [load]\n"
        for n in range(200)
    ),
    SPECS[1]
    + "description: |\n"
    + "  A line of text, and one more.\n" * 100
    + "params:\n"
    + "".join(f"  p{n}: [1, a, {{b: c}}]\n" for n in range(90)),
    SPECS[1] + "params: {a: [" + "x, " * 2000 + "x]}\n" + "# a comment\n" * 500,
)
SPEC_FRAGMENTS: Final = (
    ">\n  a\n  b\n", ">-\n\n    a\n     b\n\n    c\n", ">+ # c\n  a\n\n\n", "|2+\n   a\n", "|1-\n", "2026_01_02", "-_", "._", "0b11", "0o10", "012", "+0x1", "1.", ".5", "12e03", "+.inf", "y", "NO", "\u2028", "\u2029", "\u0085",
    "\ufeff", "\x7f", "\r\n", "\r", "\n\t", " \t", '"\\ud83d\\ude00"', '"\\ude00\\ud83d"', '"\\a\\e\\N\\_\\L\\P\\/"', '"a\\\n\n  b"', "'a\n\n  b'", '{"a":b}', "{a\n: b}", "[a: b]", "[-]", "{?a}", "x# c", "404: ",
    "&a ", "*a", "&a [*a]", "*o", "<<: *o\n", "<<", "=", "!!str ", "!!int ", "!!float ", "!!binary ", "!!set ", "!!omap ", "!!timestamp ",
    "!!python/object/apply:os.system ", "!local ", "!<tag:yaml.org,2002:int> ", "! ", "!%ff ", "!!%e2%82 ", "%YAML 1.1\n---\n", "%YAML 1.3\n---\n",
    "%YAML 1.\n---\n", "%TAG ! tag:x,2000:\n---\n", "---\n", "...\n", "? ", "?\n", ": ", "- ", "-", ", ", "[", "]", "{", "}", "|", ">", "|2-\n", ">+9\n",
    "|0\n", "# comment\n", " #", "\t", "  ", "    ", "\n", "\n\n", "'", '"', '"\\', '"\\x', '"\\UFFFFFFFF"', '"\\U00110000"', '"\\ud800"', '"\\0"', "@", "`", "0x" + "f" * 4000,
    "0b" + "1" * 4000, "1" * 4301, "-0o7", "1_000", "12:30:45", "1e400", ".inf", "-.nan", ".nan", "yes", "~", "2026-02-30", "2026-1-2", "2001-12-14t21:59:43.10-05:00",
    "2001-12-14 21:59:43.10 -5", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "version: v1\n", "name: a\n", "owner: ", "schedule: ",
    "cron: ", "timezone: ", "start_date: ", "params: ", "default: ", "enum: ", "type: ", "tasks: ", "task_id: ", "operator: ", "dependencies: ",
    "bash", "python", "sql", "empty", "airflow.providers.x.operators.y", "bash_command: ", "python_callable: ", "on_failure_callback: ", "inlets: ",
    "0 0 30 2 *", "0 0 29 2 *", "Mars/Olympus", "string", "integer", "object", "minimum: ", "pattern: ", "defualt: ", "__type__: ", "__join__: ", "no", "off", "y",
    "retry_delay: ", "5m", "1 hour 30 minutes", "retries: ", "env: ", "{A: 1}", "trigger_rule: ", "depends_on: ", "default_args: ", "catchup: ", "20270101", "2027",
    "2027-10-31T02:30", "2 days", "{{ ds }}", "{{ data_interval_start | ds }}", "x.sh",
)  # fmt: skip

NAMES: Final = (
    "iceberg.analytics.daily_clicks",
    "a.b",
    "_a-1.b_2.C",
    "iceberg.analytics.daily_clicks_20260101_060000",
    "a.b_backfill_20260101_20260107_2_20260103",
    "manual__2026-01-01T00:00:00+00:00",
    "workflow.core_loader_01_of_08",
    "workflow_core_loader_01_of_08",
    "iceberg.analytics.daily_clicks.yaml",
    ".".join("abcdefghij" * 2 for _ in range(9)),
)
NAME_FRAGMENTS: Final = (".", "..", "-", "_", "~", ":", "+", "/", "a" * 200, "a." * 100, ".yaml", "\n", "A", "0")

CRONS: Final = (
    "0 6 * * *", "*/5 * * * *", "0 0 1 1 *", "30 2 * * mon-fri", "0 0 29 2 *", "0 0 30 2 *", "15,45 0-6/2 L * *", "0 0 * jan,jul sun#1",
    "0 0 13 * 5", "@daily", "59 23 31 12 7", "0 12 * * L5", "0 0 ? * *", "1-59/7 */3 1-7 */2 1", "5 4 31 4,6,9,11 *",
    "0 5-5 * * MON-MON", "30-30/2 0-0 15-15 jan-jan 7-7", "0 22-2/2 28-3 nov-feb FRI-MON", "*/90 * * * *", "59/15 23/6 * * SAT/2",
    "0 0 8 * 5#3", "0 6 15W * L1,3#2", "0 6 31 2 1", "*/15 * * * 1-5", "10,50 0-23 * * SUN", "0\t6 * *\t*", "0 0 * * 5L", "0 0 1W,L * ?",
)  # fmt: skip
CRON_FRAGMENTS: Final = (
    "*", "/", "-", ",", "#", "?", "L", "l", "W", "H", "R", "H(0-5)", "r(1-2)", " ", "0", "7", "8", "31", "32", "59", "60", "99999999999", "-1", "*/0", "0-0/0",
    "59-0", "*/60", "5-5", "22-2", "*/90", "59/15", "5/15", "15W", "L-3", "LW", "5L", "fril", "7-7", "\t", "\n", "0-23", "31 2 1", "sun", "mon", "jan", "dec", "sun#5", "mon#6", "L7", "lsun", "1-5#2", "29 2", "30 2", "31 4", "@yearly", "@reboot", "0" * 190, "1," * 90,
)  # fmt: skip

ZONES: Final = (
    "UTC", "Europe/Berlin", "America/New_York", "America/Argentina/Buenos_Aires", "Asia/Kathmandu", "Pacific/Apia", "Etc/GMT+12",
    "Australia/Lord_Howe", "Antarctica/Troll", "GMT0", "EST5EDT", "posix/Europe/Berlin", "right/UTC",
    "localtime", "Factory", "posixrules", "europe/berlin", "America/St_Johns", "Europe/Dublin", "Africa/Casablanca",
)  # fmt: skip
ZONE_FRAGMENTS: Final = (
    "Europe",
    "/",
    "\\",
    "..",
    "../",
    "__init__",
    "__init__.py",
    "tzdata.zi",
    "zone.tab",
    "posixrules",
    "localtime",
    "UTC",
    "+",
    "-12",
    ":",
)

_ID: Final = "019b78ff-f97b-7a5f-b615-56d503d6bd2a"
_MOMENT: Final = "2026-01-01T10:00:00.000000+00:00"
CURSOR_KEYS: Final = (
    '["iceberg.analytics.daily_clicks"]', '["12"]', f'["{_MOMENT}","iceberg.analytics.daily_clicks_20260101_060000"]', f'["{_MOMENT}","{_ID}"]',
    "[]", "{}", '["a",["b"]]',
)  # fmt: skip
CURSOR_KEY_FRAGMENTS: Final = (
    '"',
    '","',
    "[",
    "]",
    "[[",
    "]]",
    "{}",
    "\\u0000",
    "\\ud800",
    "\\n",
    "1",
    "1e999",
    "NaN",
    "null",
    _MOMENT,
    _ID,
    "Z",
    "+00:00",
    "-00:00",
    "+14:00",
)
CURSORS: Final = (
    encode_cursor(("iceberg.analytics.daily_clicks",)),
    encode_cursor((_MOMENT, "iceberg.analytics.daily_clicks_20260101_060000")),
    encode_cursor((_MOMENT, _ID)),
)
CURSOR_FRAGMENTS: Final = ("=", "==", "-", "_", "+", "/", "A", "W10", "W1td", "AAAA", "____")

TAGS: Final = ('"3"', 'W/"3"', "*", '"1", "2"', "3", '"999999999"', "0")
TAG_FRAGMENTS: Final = ('"', "W/", "*", ",", " ", "0", "1", "\u0661", "9" * 9, "9" * 10)
PREFERENCES: Final = (
    "wait=30",
    "respond-async, wait=10",
    "handling=lenient; foo=bar, Wait = 5 ; x",
    "wait=9999, wait=1",
    'wait="10"',
)
PREFERENCE_FRAGMENTS: Final = (
    "wait",
    "=",
    ",",
    ";",
    " ",
    "\t",
    "WAIT=1",
    ", wait",
    "wait =",
    "0",
    "9999",
    "99999",
    "\xb2",
    '"',
)
KEYS: Final = ("8e03978e-40d5-43e8-bc93-6894a57f9324", '"8e03978e"', "a" * 255, "!~")
KEY_FRAGMENTS: Final = (" ", "\t", "~", "!", "a" * 255, "\x7f", "\n", ",", "\xe9")
MEDIA_TYPES: Final = (
    "application/json",
    "application/json; charset=utf-8",
    'application/problem+json;charset="UTF-8"',
    "text/plain",
    "a/b; c=d; e=f",
)
MEDIA_TYPE_FRAGMENTS: Final = ("application/", "json", "+json", ";", "charset=", "utf-8", "utf-16", '"', " ")

QUERIES: Final = (
    "limit=5&offset=10&status=active&source_type=CODE&owner=data%40example.com",
    "dataset_name=iceberg.analytics.daily_clicks&start_date=2026-01-01&end_date=2026-01-31&limit=500",
    f"limit=1&cursor={CURSORS[0]}",
    f"cursor={CURSORS[1]}",
    f"cursor={CURSORS[2]}&who=user%40example.com&action=pause",
    "since=2026-01-01T10:00:00Z&until=2026-01-31&action=register",
    "since=2026-01-01T10:00:00.5%2B02:00",
    "wait=30", "count=100", "against=3", "force=true", "",
)  # fmt: skip
QUERY_FRAGMENTS: Final = (
    "&", "=", "+", "%", "%0", "%00", "%ff", "%ed%a0%80", "%C3%A9", "%F0%9F%98%80", "%0d%0a", ";", "limit=", "limit=501", "offset=2147483648", "offset=", "cursor=",
    "cursor=W10", "since=", "until=", "since=0001-01-01T00:00:00%2B14:00", "until=9999-12-31T23:59:59-14:00", "since=2026-01-01T24:00:00Z", "start_date=", "end_date=0001-01-01",
    "end_date=9999-12-31", "dataset_name=", "who=", "owner=%00", "status=paused", "wait=61", "count=501", "force=1", "a=b&" * 101, "\xe9", "1_0", "5.0", "\u0665",
)  # fmt: skip

BODIES: Final = (
    '{"dataset_name": "iceberg.analytics.new", "source_type": "MANUAL", "schedule": {"cron": "0 8 * * *", "timezone": "America/New_York"},'
    ' "owner": "o", "team": "@t", "description": "d", "yaml_content": "version: v1\\nname: new\\n", "force": true}',
    '{"params": {"date": "2026-01-01", "n": 1, "x": [1.5, null, true, {"a": "b"}]}, "dry_run": false}',
    '{"start_date": "2026-01-01", "end_date": "2026-01-07", "params": {}, "dry_run": true, "parallel": true, "max_active": 4,'
    ' "reprocess": "failed", "run_backwards": false, "on_failure": "continue"}',
    '{"reason": "Wrong \\u00fc\\ud83d\\ude00 region"}', "{}", '{"dry_run": true}', '{"scope": "failed", "reason": null}', "[]", '"a"', "1",
)  # fmt: skip
BODY_FRAGMENTS: Final = (
    '"', '""', ":", ",", "{", "}", "[", "]", "[]", "{}", '{"a":', '"params":', '"params": {', '"reason":', '"start_date": ', '"dry_run": true,', "\\u0000", "\\ud800", "\\udc00\\ud800",
    "\\u", "\\x", "\\", "1e999", "-1e999", "1" * 4300, "1" * 4301, "-" + "9" * 5000, "1E+400", "0." + "1" * 5000, "NaN", "Infinity", "-Infinity", "-0", "01", "1.", ".1", "true", "null",
    "/**/", "\u2028", '"a":1,"a":2,', '"__class__":', '"[key]":', '"2026-02-30"', '"9999-12-31"', "1767225600", "\x00", "\x1f", "\ufeff",
)  # fmt: skip
