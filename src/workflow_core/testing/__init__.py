"""What every implementation of a port is held to: contract suites to inherit from, and builders of entities.

Needs pytest and Hypothesis.
"""

from pkgutil import iter_modules

import pytest

# The suites stand outside of test files; without this their assertions would fail without saying why. Importing any module
# of this package comes here first. (Each by name: the package itself is being imported already.)
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))
