"""The app on a person's phone: an installable web app that approves sign-ins begun elsewhere."""
