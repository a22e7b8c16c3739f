from src.runtime.arithmetic import pin

pin()
