"""Which network fits a latency budget on a device."""
