"""The workflow's YAML: read safely, checked with line and column, and rendered complete."""

from workflow_core.domain.spec.cautions import warnings_of
from workflow_core.domain.spec.document import SHORT_OPERATORS, ParamSpec, ScheduleSpec, TaskSpec, WorkflowSpec
from workflow_core.domain.spec.parse import CheckedSpec, CompleteSpec, check_spec, parse_complete_spec, parse_spec
from workflow_core.domain.spec.render import complete, spec_hash
from workflow_core.domain.spec.rules import DEFAULT_CALLABLES, DEFAULT_OPERATORS, SpecRules

__all__ = [
    "DEFAULT_CALLABLES",
    "DEFAULT_OPERATORS",
    "SHORT_OPERATORS",
    "CheckedSpec",
    "CompleteSpec",
    "ParamSpec",
    "ScheduleSpec",
    "SpecRules",
    "TaskSpec",
    "WorkflowSpec",
    "check_spec",
    "complete",
    "parse_complete_spec",
    "parse_spec",
    "spec_hash",
    "warnings_of",
]
