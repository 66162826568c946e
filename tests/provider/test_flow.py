"""The code flow of a signed-in person, in process."""

from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.factories import make_membership, sign_in
from tests.provider.party import Party, path_of, query_of
from unternehmenskonto.settings import get_settings


def test_whole_flow_with_each_way_of_proof(client: FlaskClient) -> None:
    for method in ("client_secret_basic", "client_secret_post", "private_key_jwt", "none"):
        party = Party(auth_method=method)
        membership = make_membership()
        sign_in(client, membership)
        first = party.authorize(client)
        page = client.get(path_of(first))
        assert membership.company.name in page.text
        answer = party.agree(client, first)
        assert answer.status_code == 303
        found = query_of(answer)
        assert (found["state"], found["iss"]) == ("st-1", get_settings().base_url)
        tokens = party.exchange(client, found["code"])
        assert tokens.status_code == 200, tokens.text
        body = tokens.get_json()
        assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 300, "openid")
        keys = KeySet.import_key_set(client.get("/oauth/jwks").get_json())
        token = jwt.decode(body["id_token"], keys, algorithms=["RS256"])
        assert (token.claims["aud"], token.claims["nonce"]) == (party.client_id, "n-1")
        facts = party.userinfo(client, body["access_token"]).get_json()
        assert facts["sub"] == token.claims["sub"]
        assert facts["org_company_name"] == membership.company.name
