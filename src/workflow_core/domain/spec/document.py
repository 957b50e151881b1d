"""The workflow document: one frozen pydantic model, so that the published JSON Schema comes from the model that validates it.

This is the one place in the domain that is pydantic rather than attrs (``docs/adr/0004-yaml-document.md``): the YAML is
an edge of the system, and it is written by people.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema, model_validator

from workflow_core.domain.spec.moments import MOMENT_PATTERN, read_moment

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORT_OPERATORS: Final = {
    "bash": "airflow.providers.standard.operators.bash.BashOperator",
    "python": "airflow.providers.standard.operators.python.PythonOperator",
    "sql": "airflow.providers.common.sql.operators.sql.SQLExecuteQueryOperator",
    "http": "airflow.providers.http.operators.http.HttpOperator",
    "empty": "airflow.providers.standard.operators.empty.EmptyOperator",
}
"""Short operator names and their classes, on Airflow 2.11 and 3.x alike."""

MAX_TASKS: Final = 500
MAX_PARAMS: Final = 100

_KEY = r"^[A-Za-z_][A-Za-z0-9_]*$"


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ScheduleSpec(_Document):
    """The fire times of the workflow."""

    cron: str = Field(
        description="Five cron fields: minute hour day-of-month month day-of-week.", examples=["0 6 * * *"]
    )
    timezone: str = Field(
        default="UTC", description="A name of the IANA time zone database.", examples=["America/New_York"]
    )


class ParamSpec(_Document):
    """A declared parameter: its default and, optionally, its allowed values."""

    default: JsonValue = Field(description="The value of scheduled runs, and of runs that do not give one.")
    type: Literal["string", "integer", "number", "boolean", "array", "object"] | None = Field(
        default=None, description="The JSON type of the value; without it, the type of the default (null: any)."
    )
    enum: list[JsonValue] | None = Field(default=None, min_length=1, description="The only values allowed.")
    description: str | None = Field(default=None, max_length=1000)

    @property
    def json_type(self) -> str | None:
        """The type that values must have; None if any type is allowed."""
        return self.type or json_type_of(self.default)

    def accepts(self, value: JsonValue) -> str | None:
        """Return the problem with ``value``; None if it is accepted."""
        expected, given = self.json_type, json_type_of(value)
        fits = expected is None or given == expected or (expected == "number" and given == "integer")
        if not fits:
            return f"must be of type {expected}, not {given or 'null'}"
        if self.enum is not None and not any(_same(value, allowed) for allowed in self.enum):
            return f"must be one of {', '.join(map(repr, self.enum))}"
        return None


def _same(one: JsonValue, other: JsonValue) -> bool:
    """Whether two values are equal in JSON, where true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def json_type_of(value: JsonValue) -> str | None:
    """The JSON Schema type of a value; None for null."""
    for kind, name in _JSON_TYPES:
        if isinstance(value, kind):
            return name
    return None


_JSON_TYPES: Final[tuple[tuple[type, str], ...]] = (
    (bool, "boolean"),  # before int: bool is a subclass of it
    (str, "string"),
    (int, "integer"),
    (float, "number"),
    (list, "array"),
    (dict, "object"),
)


class TaskSpec(BaseModel):
    """One task: an operator, its dependencies, and the operator's arguments (all other keys)."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    task_id: str = Field(pattern=_KEY.replace("]*$", "-]*$"), max_length=200)
    operator: str = Field(
        min_length=1,
        max_length=300,
        description=f"A short name ({', '.join(SHORT_OPERATORS)}) or the full path of an operator class.",
        examples=["bash", "airflow.providers.standard.sensors.time_delta.TimeDeltaSensor"],
    )
    dependencies: list[str] = Field(default_factory=list, description="The ids of the tasks that must succeed first.")

    @property
    def operator_class(self) -> str:
        """The full path of the operator class."""
        return SHORT_OPERATORS.get(self.operator, self.operator)

    @property
    def arguments(self) -> dict[str, Any]:
        """The operator's arguments."""
        return dict(self.__pydantic_extra__ or {})


class WorkflowSpec(_Document):
    """A workflow, as defined by its YAML."""

    version: Literal["v1"] = Field(description="The version of this format.")
    name: str = Field(description="The dataset name, or its last segment.", examples=["iceberg.analytics.daily_clicks"])
    owner: str | None = Field(default=None, min_length=1, max_length=200, examples=["data@example.com"])
    team: str | None = Field(default=None, min_length=1, max_length=200, examples=["@data-eng"])
    description: str | None = Field(default=None, max_length=4000)
    schedule: ScheduleSpec | None = None
    start_date: (
        Annotated[
            datetime,
            BeforeValidator(read_moment),
            WithJsonSchema({"type": "string", "pattern": MOMENT_PATTERN, "examples": ["2027-01-01"]}),
        ]
        | None
    ) = Field(
        default=None,
        description="Scheduled runs start at the first fire time at or after this moment, never before the spec was stored."
        " An ISO date or date-time, in the schedule's time zone unless it has an offset. Runs for earlier dates can still be"
        " requested.",
    )
    params: dict[Annotated[str, Field(pattern=_KEY, max_length=100)], ParamSpec] | None = Field(
        default=None,
        max_length=MAX_PARAMS,
        description="The declared parameters, which are the only ones that a run accepts. Write `name: default`, or"
        " `name: {default: …, type: …, enum: […]}`; an object as default needs the second form. Without this key, a run"
        " accepts any parameters.",
    )
    tasks: list[TaskSpec] = Field(default_factory=list, max_length=MAX_TASKS)

    @property
    def declared(self) -> Mapping[str, ParamSpec]:
        """The declared params; empty if the spec declares none."""
        return self.params or {}

    @model_validator(mode="before")
    @classmethod
    def _short_params(cls, data: Any) -> Any:
        """``name: default`` is short for ``name: {default: …}``, if the default is not a mapping."""
        if isinstance(data, dict) and isinstance(data.get("params"), dict):
            return {**data, "params": {name: declaration_of(value) for name, value in data["params"].items()}}
        return data


def declaration_of(value: object) -> object:
    """Return a param's value in the YAML as a declaration."""
    return value if isinstance(value, ParamSpec | dict) else {"default": value}


# A run always accepts its date, declared or not: `run_date()` returns it.
DATE_PARAM: Final = "date"
