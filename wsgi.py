"""The WSGI entry point: ``granian --interface wsgi wsgi:app``, or any other WSGI server."""

from idp.app import create_app
from idp.audit import configure_logging
from idp.services import Installation
from idp.settings import read_settings
from idp.upkeep import follow_by_itself, purge_by_itself

configure_logging()
_installation = Installation(read_settings())
purge_by_itself(_installation)
follow_by_itself(_installation)
app = create_app(installation=_installation)
