"""What has to be installed for each client beside this project, without dependencies: they are named here themselves.

A library's own requirements often exclude the torch of today or bring in a hundred packages that training its module
never imports. Versions are those of the day; results.json names the ones that were run.
"""

from __future__ import annotations

REQUIREMENTS: dict[str, tuple[str, ...]] = {}
