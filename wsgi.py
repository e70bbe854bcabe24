"""The WSGI entry point: ``granian --interface wsgi wsgi:app``, or any other WSGI server."""

import gc

from idp.app import create_app
from idp.audit import configure_logging
from idp.services import Installation
from idp.settings import read_settings
from idp.upkeep import run_by_itself

configure_logging()
_installation = Installation(read_settings())
run_by_itself(_installation)
app = create_app(installation=_installation)
# What is loaded stays for good: the collector need not look through it again and again. Requests
# leave no cycles behind, so a higher threshold costs no memory.
gc.collect()
gc.freeze()
gc.set_threshold(10_000, 20, 20)
