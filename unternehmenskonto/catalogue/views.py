"""The public directory of services."""

from typing import Any

from flask import Blueprint, render_template, request

from unternehmenskonto.catalogue.claims import label
from unternehmenskonto.catalogue.entrance import entrance_url
from unternehmenskonto.catalogue.forms import SearchForm
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.catalogue.regions import region_name
from unternehmenskonto.catalogue.search import MAXIMUM_RESULTS, Found, find_services
from unternehmenskonto.db import db
from unternehmenskonto.errors import NotFound
from unternehmenskonto.permissions import public
from unternehmenskonto.settings import get_settings
from unternehmenskonto.web import limiter

bp = Blueprint("catalogue", __name__)

#: Anybody may search; nobody needs more than two searches a second for long.
SEARCHES_PER_ADDRESS = "120 per minute"


@bp.get("/dienste")
@public
@limiter.limit(SEARCHES_PER_ADDRESS)
def directory() -> Any:
    """Show the services that match the words and the region."""
    form = SearchForm(request.args)
    if not form.validate():
        return render_template("catalogue/directory.html", form=form, found=Found([], 0), asked=True), 422
    words, region = form.suche.data or "", form.region.data or ""
    return render_template(
        "catalogue/directory.html",
        form=form,
        found=find_services(words=words, region=region),
        asked=bool(words.strip() or region),
        region=region,
        region_name=region_name,
        maximum=MAXIMUM_RESULTS,
    )


@bp.get("/dienste/<slug>")
@public
def service(slug: str) -> str:
    """Show one service: what it does, for whom it works, what it would learn, and the way in."""
    found = db.session.get(OnlineService, slug) if slug.isascii() and slug.isprintable() else None
    if found is None or not found.is_enabled:
        raise NotFound
    return render_template(
        "catalogue/service.html",
        service=found,
        entrance=entrance_url(found, issuer=get_settings().base_url),
        regions=[region_name(key) for key in found.regions],
        claims=[(label(claim["name"]), claim["purpose"]) for claim in found.claims],
    )
