"""The OpenID Provider: composes accounts, connectors and consent, and speaks HTTP and OAuth."""
