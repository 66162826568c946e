// The two pages of a login, as plain as can be: who are you, and do you agree. No password is asked for.
const escape = (text) => String(text).replace(/[&<>"]/g, (found) => `&#${found.charCodeAt(0)};`)

function page (title, action, fields) {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escape(title)}</title></head>
<body>
<main>
<h1>${escape(title)}</h1>
<form method="post" action="${escape(action)}">
${fields}
<button type="submit">Continue</button>
</form>
</main>
</body>
</html>`
}

async function formOf (request) {
  let body = ''
  for await (const part of request) body += part
  return new URLSearchParams(body)
}

async function show ({ provider, accountOf, claimNames }, request, response) {
  const { uid, prompt, params, session } = await provider.interactionDetails(request, response)
  const action = `/interaction/${uid}`
  let body
  if (prompt.name === 'login') {
    body = page('Who are you?', action, '<label>Account <input name="account" required></label>')
  } else {
    const client = await provider.Client.find(params.client_id)
    const account = await accountOf(session.accountId)
    const values = claimNames.filter((name) => account[name])
    const rows = values.map((name) => `<dt>${escape(name)}</dt><dd>${escape(account[name])}</dd>`)
    body = page(`Pass this on to ${client.clientName}?`, action, `<dl>${rows.join('')}</dl>`)
  }
  response.writeHead(200, {
    'content-type': 'text/html; charset=utf-8', 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store'
  })
  response.end(body)
}

async function logIn ({ provider, accountOf }, request, response, form) {
  const accountId = form.get('account')
  if (!await accountOf(accountId)) throw new Error('unknown account')
  const login = { accountId, acr: 'http://eidas.europa.eu/LoA/substantial', amr: ['swk'] }
  await provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false })
}

async function agree ({ provider }, request, response, details) {
  const { grantId, params, session, prompt: { details: missing } } = details
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
  if (missing.missingOIDCScope) grant.addOIDCScope(missing.missingOIDCScope.join(' '))
  if (missing.missingOIDCClaims) grant.addOIDCClaims(missing.missingOIDCClaims)
  const saved = await grant.save()
  await provider.interactionFinished(request, response, { consent: grantId ? {} : { grantId: saved } })
}

/** Answer requests below /interaction/; site: { provider, accountOf, claimNames }. */
export async function interact (site, request, response) {
  try {
    if (request.method === 'GET') return await show(site, request, response)
    const form = await formOf(request)
    const details = await site.provider.interactionDetails(request, response)
    if (details.prompt.name === 'login') await logIn(site, request, response, form)
    else await agree(site, request, response, details)
  } catch (error) {
    console.error(error)
    response.writeHead(400, { 'content-length': 0 }).end()
  }
}
