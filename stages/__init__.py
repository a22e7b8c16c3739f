from src.runtime.arithmetic import pin
from src.runtime.environment import require_environment

require_environment()
pin()

from src.settings import provenance  # noqa: E402, F401  the code as it is now, before torch takes its seconds
