"""``evcontrol simulate``: only the simulated instruments, on their real protocols."""
