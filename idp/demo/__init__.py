"""The demonstration: two relying parties and some invented people, all on this machine.

The relying parties are ordinary web applications with an ordinary OpenID Connect library. They
share no code with the provider and know only its address and their own registration.
"""
