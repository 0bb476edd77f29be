"""Training on several devices and machines: who takes part, and what they agree on."""
