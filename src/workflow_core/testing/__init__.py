"""Contract suites that verify every implementation of a port, and builders of entities.

The package requires pytest and Hypothesis.
"""

from pkgutil import iter_modules

import pytest

# The suites are outside of test files: without this, pytest would not explain their failed assertions. An import of any module of this
# package runs this module first. Each module is named, because the package itself is imported already.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))
