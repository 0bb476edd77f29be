"""The one channel through which the library tells its user something: the logger "gdns_tf".

`notices.warning` is for what a user must know to trust the result (users that were dropped, settings without effect);
Python shows it unasked. `notices.info` is for what was done; the commands show it too, and a program that wants it sets
`logging.getLogger("gdns_tf").setLevel("INFO")`. Nothing in the library prints.
"""

import logging

notices = logging.getLogger("gdns_tf")
