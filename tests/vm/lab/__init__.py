"""The lab: a Debian guest with its own kernel, started, used and thrown away."""
