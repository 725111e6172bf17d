"""The kernel: processes, probes, interventions and the drivers that run them."""
