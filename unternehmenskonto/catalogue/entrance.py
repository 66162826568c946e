"""The way from here into a service."""

from urllib.parse import urlencode, urlsplit, urlunsplit

from unternehmenskonto.catalogue.models import OnlineService


def entrance_url(service: OnlineService, *, issuer: str) -> str | None:
    """Return where "Weiter zum Dienst" leads; None for a service without pages.

    OpenID Connect Core section 4: a service that supports it is told who asks it to start the login (iss) and where
    the person wants to arrive (target_link_uri), so that they arrive logged in.
    """
    login = (service.client or {}).get("initiate_login_uri")
    if not login:
        return service.start_url
    parts = urlsplit(login)
    parameters = {"iss": issuer}
    if service.start_url:
        parameters["target_link_uri"] = service.start_url
    query = "&".join(part for part in (parts.query, urlencode(parameters)) if part)
    return str(urlunsplit(parts._replace(query=query)))
