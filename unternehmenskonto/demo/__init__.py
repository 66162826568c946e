"""The demonstration: an own database, an identity provider, an online service, an authority and a mail catcher."""
