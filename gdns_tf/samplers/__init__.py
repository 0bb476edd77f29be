"""Negative samplers, one file each behind the interface in `base`; `registry` names them."""
