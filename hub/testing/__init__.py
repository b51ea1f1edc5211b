"""What connector authors test with: `ConnectorSuite`, the emulator base and its fault switchboard.

In: a connector class and its emulator. Out: the clauses of the contract, run over real HTTP on loopback.
"""

from hub.testing.data import shared_path
from hub.testing.emulator import Emulator, Running
from hub.testing.faults import Fault, FaultBoard

__all__ = ["Emulator", "Fault", "FaultBoard", "Running", "shared_path"]
