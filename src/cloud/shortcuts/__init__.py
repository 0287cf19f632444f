"""Short ways to what one often needs of running jobs; see also ``cloud.shortcuts.ssh``."""

from cloud.shortcuts import ssh as ssh
from cloud.wait_for import port as get_connection_info

__all__ = ["get_connection_info"]
