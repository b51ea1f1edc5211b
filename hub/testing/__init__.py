"""What connector authors test with: `ConnectorSuite`, the emulator base and its fault switchboard.

In: a connector class, its emulator and a `Rig` that moves it. Out: the clauses of the contract, run over real HTTP on
loopback, and a level computed from them.
"""

from typing import TYPE_CHECKING, Any

from hub.testing.data import shared_path
from hub.testing.emulator import Emulator, Running
from hub.testing.faults import Fault, FaultBoard

if TYPE_CHECKING:
    from hub.testing.rig import Rig
    from hub.testing.suite import ConnectorSuite
    from hub.testing.suite_result import Result

__all__ = ["ConnectorSuite", "Emulator", "Fault", "FaultBoard", "Result", "Rig", "Running", "shared_path"]

_LATER = {"ConnectorSuite": "hub.testing.suite", "Rig": "hub.testing.rig", "Result": "hub.testing.suite_result"}


def __getattr__(name: str) -> Any:
    """The suite is imported when it is asked for: who only serves an emulator does not pay for it."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    import importlib

    return getattr(importlib.import_module(_LATER[name]), name)
