"""The demonstration: database, identity provider, online service, authority and mail catcher of its own."""
