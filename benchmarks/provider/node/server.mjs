// oidc-provider with the guarantees that are measured: node server.mjs SETTINGS.json; prints "ready".
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

import { Provider } from 'oidc-provider'

import { accountReader, adapterFor, connect, store } from './adapter.mjs'
import { interact } from './interaction.mjs'

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const { issuer, host, port, jwks, clients, accounts, apiAudience, ownScope, secret, isStored } = settings
const pool = settings.database ? await connect(settings.database) : undefined
if (isStored) await store(pool, { clients, accounts })
const accountOf = isStored ? accountReader(pool) : async (id) => accounts[id]
const claimNames = Object.keys(Object.values(accounts)[0])

const provider = new Provider(issuer, {
  adapter: pool && adapterFor(pool),
  clients: isStored ? [] : clients,
  jwks,
  claims: { openid: ['sub', ...claimNames] },
  scopes: ['openid', 'offline_access'],
  subjectTypes: ['pairwise'],
  pairwiseIdentifier: (ctx, accountId, client) =>
    createHmac('sha256', secret).update(`${client.sectorIdentifier}|${accountId}`).digest('base64url'),
  cookies: { keys: [secret] },
  clientAuthMethods: ['client_secret_basic', 'private_key_jwt'],
  pkce: { required: () => true },
  rotateRefreshToken: true,
  async findAccount (ctx, id) {
    const found = await accountOf(id)
    return found && { accountId: id, claims: async () => ({ sub: id, ...found }) }
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // Tokens that are read at userinfo are opaque: oidc-provider refuses those with an audience there.
      defaultResource: (ctx) => ctx.oidc.params.grant_type === 'client_credentials' ? apiAudience : undefined,
      getResourceServerInfo: () => ({
        scope: ownScope,
        audience: apiAudience,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'ES256' } }
      })
    }
  },
  ttl: {
    AccessToken: 300,
    AuthorizationCode: 60,
    ClientCredentials: 300,
    Grant: 30 * 24 * 3600,
    IdToken: 300,
    Interaction: 1800,
    RefreshToken: 14 * 24 * 3600,
    Session: 12 * 3600
  }
})
provider.on('server_error', (ctx, error) => console.error(error))

const site = { provider, accountOf, claimNames }
const answer = provider.callback()
const server = createServer((request, response) => {
  if (request.url.startsWith('/interaction/')) interact(site, request, response)
  else answer(request, response)
})
// Connections wait while another side is measured.
server.keepAliveTimeout = 600_000
server.listen(port, host, () => console.log('ready'))
