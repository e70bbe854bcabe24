"""The archive of old uses: signed files outside the database, whose content goes when its key goes."""
