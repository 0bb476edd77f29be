"""Studies: many training runs under one protocol, their statistics, and a report with plots."""
