from src.runtime.arithmetic import pin
from src.runtime.environment import require_environment

require_environment()
pin()
