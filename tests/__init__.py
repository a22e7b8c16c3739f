from src.runtime.arithmetic import pin

pin()  # tests compute as stages do
