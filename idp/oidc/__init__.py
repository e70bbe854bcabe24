"""The protocol: OAuth 2.0 and OpenID Connect. The only importer of Authlib; knows no Flask."""
