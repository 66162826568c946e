"""Every figure of the provider once, with its source."""

from datetime import timedelta

from limits import parse

#: FAPI 2.0 Security Profile 5.3.2.1: 60 seconds at most.
CODE_LIFETIME = timedelta(seconds=60)
#: TR-03172 A3.5.08: self-contained tokens live five minutes at most.
ACCESS_TOKEN_SECONDS = 300
ID_TOKEN_SECONDS = 300
#: How long a person may take from the request to the agreement, a login in between included.
INTERACTION_LIFETIME = timedelta(minutes=30)
#: Codes and grants are kept so long after their end, to notice a replay.
RETENTION = timedelta(days=1)

#: Refresh tokens of one agreement end after this (RFC 9700 4.14.2), and earlier if nobody uses them.
OFFLINE_LIFETIME = timedelta(days=30)
OFFLINE_IDLE = timedelta(days=14)
#: A client that lost the answer, or asked twice at once, gets the same successor for so long.
REFRESH_GRACE = timedelta(seconds=10)

#: RFC 10070, FAPI 2.0: a client assertion is short-lived; clocks may differ by so much.
ASSERTION_SECONDS = 300
CLOCK_TOLERANCE_SECONDS = 10
MAXIMUM_ASSERTION_CHARACTERS = 8192
MAXIMUM_JTI_CHARACTERS = 256
MAXIMUM_KID_CHARACTERS = 200

#: security.md 1.2: a client's keys are read again after ten minutes, for an unknown kid once in 30 seconds.
JWKS_SECONDS = 600
JWKS_REFETCH_SECONDS = 30
JWKS_BYTES = 64 * 1024
JWKS_KEYS = 20
MINIMUM_RSA_BITS = 2048

#: A registration that another process has changed acts here after this.
CLIENT_SECONDS = 1

MAXIMUM_PARAMETERS = 40
MAXIMUM_VALUE_CHARACTERS = 2048
#: Values that are long by nature.
LONG_VALUES = {
    "state": 4096,
    "claims": 4096,
    "id_token_hint": 8192,
    "token": 8192,
    "access_token": 8192,
    "client_assertion": MAXIMUM_ASSERTION_CHARACTERS,
    "request": 8192,
}
MAXIMUM_NONCE_CHARACTERS = 1024
#: Claims named in one member of the claims parameter.
MAXIMUM_CLAIMS = 100
#: FAPI 2.0 Message Signing 5.3.1: a request object lives an hour at most.
REQUEST_OBJECT_SECONDS = 3600
#: The list behind a sector_identifier_uri, and the body of a registration.
SECTOR_BYTES = 64 * 1024
REGISTRATION_BYTES = 64 * 1024
#: Requests of one address that make us fetch a registered request_uri.
REQUEST_URI_LIMIT = parse("30 per minute")

#: Requests of one address that have to wait for a person: each is a row until somebody answers.
WAITING_REQUESTS_LIMIT = parse("120 per minute")
#: Refused client authentications of one address, and of one address for one client. There is no limit for a
#: client as a whole: with it anybody could lock out a service, and no secret of 256 bit is ever guessed.
REFUSED_CLIENTS_LIMIT = parse("60 per minute")
REFUSED_CLIENT_LIMIT = parse("20 per minute")
#: Logouts of one address that a service asked for and that were refused or need a question; true ones are free,
#: because a whole office leaves at five.
LOGOUTS_LIMIT = "60 per minute"
METADATA_SECONDS = 300

#: The wish of a service waits in a cookie (4 kB) while the identity provider logs out too.
MAXIMUM_LOGOUT_STATE_CHARACTERS = 512
LOGOUT_DETOUR_SECONDS = 300

#: Back-Channel Logout 2.4: at most two minutes are recommended.
LOGOUT_TOKEN_SECONDS = 120
#: Ended sessions are looked for in this span every two seconds, in RETENTION every hour.
NOTICE_WINDOW = timedelta(minutes=15)
NOTICE_BATCH = 500
#: A service that does not answer is told again for so long; after that its own session is over too.
TELL_FOR = timedelta(hours=24)
#: When a call to the same service is under way, the next one waits.
SERVICE_BUSY = timedelta(seconds=2)
