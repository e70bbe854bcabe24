"""The WSGI entry point: ``granian --interface wsgi wsgi:app``, or any other WSGI server."""

from idp.app import create_app
from idp.audit import configure_logging, gather_requests
from idp.collector import collect_seldom
from idp.services import Installation
from idp.settings import read_settings
from idp.upkeep import run_by_itself

configure_logging()
gather_requests()
_installation = Installation(read_settings())
run_by_itself(_installation)
app = create_app(installation=_installation)
collect_seldom()
