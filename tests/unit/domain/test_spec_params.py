"""Declared params, and specs that declare none."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from workflow_core.domain.spec import WorkflowSpec, check_spec, parse_spec
from workflow_core.domain.spec.schema import json_schema
from workflow_core.errors import InvalidRequest, InvalidWorkflowSpec
from workflow_core.usecases.commands.trigger import check_params

HEAD = 'version: v1\nname: a.b\nowner: x\nschedule: {cron: "0 6 * * *"}\n'


def told(declaration: str) -> list[tuple[int | None, str | None, str]]:
    """The column, field and message of each finding about the param ``p``."""
    with pytest.raises(InvalidWorkflowSpec) as caught:
        check_spec(f"{HEAD}params:\n  p: {declaration}\n")
    assert {found.line for found in caught.value.problems} == {6}
    return [(found.column, found.field, found.message) for found in caught.value.problems]


@pytest.mark.parametrize(
    "word",
    ["minimum", "maximum", "exclusiveMinimum", "multipleOf", "pattern", "format", "title", "examples", "items", "properties", "required",
     "minLength", "maxLength", "minItems", "uniqueItems", "const", "oneOf", "anyOf", "section", "values_display", "nullable",
     "description_md", "$ref", "anything"],
)  # fmt: skip
def test_any_other_key_of_a_declaration_is_a_finding_at_the_key(word):
    """It never becomes part of an object."""
    assert told(f"{{default: 3, type: integer, {word}: 1}}")[0][:2] == (34, f"params.p.{word}")
    (_, _, message), *_ = told(f"{{type: integer, default: 3, {word}: 1}}")
    assert f"unknown key '{word}'; a declaration takes default, type, enum, description" in message


@pytest.mark.parametrize(
    ("word", "meant"),
    [("defualt", "default"), ("Default", "default"), ("defaults", "default"), ("value", "default"), ("typ", "type"), ("types", "type"),
     ("enumm", "enum"), ("desciption", "description")],
)  # fmt: skip
def test_a_misspelt_key_is_guessed(word, meant):
    """Also where it is the only key of the mapping."""
    found = told(f"{{{word}: 5}}")
    assert (7, f"params.p.{word}") == found[-1][:2]
    assert f"did you mean {meant!r}?" in found[-1][2]
    assert len(found) == (1 if meant == "default" else 2)  # the default is still missing


@pytest.mark.parametrize(
    "declaration", ["{type: string}", "{enum: [a]}", "{description: x}", "{type: string, minLength: 1}"]
)
def test_a_declaration_without_a_default_is_a_finding(declaration):
    """Scheduled runs would have no value."""
    assert any("a declaration needs a default" in message for _, _, message in told(declaration))


@pytest.mark.parametrize("declaration", ["{low: 1, high: 2}", "{}", "{a: {default: 1}}"])
def test_an_object_as_default_is_written_out(declaration):
    """A mapping is a declaration, and nothing else."""
    ((column, field, message),) = told(declaration)
    assert (column, field) == (6, "params.p")
    assert "write an object as default like this: `p: {default: {…}}`" in message
    value = {"low": 1, "type": "x", "minimum": 3}
    spec = parse_spec(f"{HEAD}params: {{p: {{default: {{low: 1, type: x, minimum: 3}}}}}}\n")
    assert spec.declared["p"].default == value


@pytest.mark.parametrize(
    ("declaration", "words"),
    [
        ("{default: ten, type: integer}", "the default must be of type integer, not string"),
        ("{default: 1, enum: [1, '2']}", "this value must be of type integer, not string"),
        ("{default: 3, enum: [1, 2]}", "the default must be one of 1, 2"),
        ("{default: no, type: boolean}", "the default must be of type boolean, not string"),
        ("{default: 1, type: int}", "must be 'string'"),
        ("{default: 1, type: [integer, 'null']}", "must be 'string'"),
        ("{default: 1, enum: []}", "at least 1 item"),
    ],
)
def test_the_values_of_a_declaration_fit_each_other(declaration, words):
    """Whatever a run would be refused, the default and the choices are refused as well."""
    assert any(words in message for _, _, message in told(declaration))


def test_true_is_not_one():
    """JSON distinguishes true from 1, Python does not."""
    spec = parse_spec(f"{HEAD}params: {{p: {{default: null, enum: [1, 0]}}}}\n")
    assert spec.declared["p"].accepts(True) == "must be one of 1, 0"
    assert spec.declared["p"].accepts(1) is None


@pytest.mark.parametrize("value", ["20260101", "2026-1-2", "'2026-02-30'", "tomorrow"])
def test_the_default_of_the_run_date_is_a_date(value):
    """As it is for the callers of a run."""
    with pytest.raises(InvalidWorkflowSpec, match="is not a"):
        check_spec(f"{HEAD}params: {{date: {value}}}\n")
    check_spec(f"{HEAD}params: {{date: '2026-01-02'}}\n")
    check_spec(f"{HEAD}params: {{date: null}}\n")


class TestWithoutASection:
    @pytest.mark.parametrize("params", [{"region": "US"}, {"deep": {"a": [1, None]}}, {}])
    def test_any_params_are_accepted(self, params):
        """They are data."""
        check_params(parse_spec(HEAD), params, max_bytes=1000)

    @pytest.mark.parametrize("section", ["params: {}\n", "params: {other: 1}\n"])
    def test_a_section_makes_it_strict(self, section):
        """Also an empty one."""
        with pytest.raises(InvalidRequest, match="is not declared"):
            check_params(parse_spec(HEAD + section), {"region": "US"}, max_bytes=1000)

    @pytest.mark.parametrize(
        "params",
        [{"date": "20260101"}, {"date": 5}, {"a": "\0"}, {"a\0": 1}, {"a": 2**63}, {"a": float("nan")},
         {"a": {"b": "\ud800"}}, {"a": "x" * 1000}],
    )  # fmt: skip
    def test_size_date_and_what_can_be_stored_are_checked_all_the_same(self, params):
        """No database and no Airflow could hold them."""
        with pytest.raises(InvalidRequest):
            check_params(parse_spec(HEAD), params, max_bytes=1000)

    @pytest.mark.parametrize("section", ["", "params: {}\n", "params: {a: 1}\n"])
    def test_the_difference_survives_json(self, section):
        """The loader's cache keeps the spec as JSON, and the database keeps what was set."""
        spec = parse_spec(HEAD + section)
        assert (spec.params is None) == (section == "")
        assert WorkflowSpec.model_validate_json(spec.model_dump_json()) == spec
        assert WorkflowSpec.model_validate(spec.model_dump(mode="json", exclude_unset=True)) == spec

    def test_a_section_without_a_value_is_refused(self):
        """It might mean either."""
        with pytest.raises(InvalidWorkflowSpec, match=r"write `params: \{\}`"):
            check_spec(HEAD + "params:\n")


@pytest.mark.parametrize(
    ("section", "good"),
    [("{a: 1}", True), ("{a: {default: {}}}", True), ("{a: {type: string}}", False), ("{a: {b: 1}}", False),
     ("{a: {default: 1, minimum: 1}}", False), ("null", False), ("{}", True)],
)  # fmt: skip
def test_the_schema_says_the_same(section, good):
    """Editors warn of the same declarations."""
    data = YAML(typ="safe", pure=True).load(f"{HEAD}params: {section}\n")
    assert Draft202012Validator(json_schema()).is_valid(data) is good
