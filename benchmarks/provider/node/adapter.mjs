// Keeps what oidc-provider makes in PostgreSQL, one row each, found by primary key; the statements are prepared.
import pg from 'pg'

const TABLES = `
  CREATE TABLE IF NOT EXISTS oidc_payloads (
    type text NOT NULL,
    id text NOT NULL,
    payload jsonb NOT NULL,
    grant_id text,
    user_code text,
    uid text,
    expires_at timestamptz,
    consumed_at timestamptz,
    PRIMARY KEY (type, id)
  );
  CREATE INDEX IF NOT EXISTS ix_oidc_payloads_grant ON oidc_payloads (grant_id) WHERE grant_id IS NOT NULL;
  CREATE INDEX IF NOT EXISTS ix_oidc_payloads_uid ON oidc_payloads (type, uid) WHERE uid IS NOT NULL;
  CREATE INDEX IF NOT EXISTS ix_oidc_payloads_user_code ON oidc_payloads (user_code) WHERE user_code IS NOT NULL;
  CREATE INDEX IF NOT EXISTS ix_oidc_payloads_expires ON oidc_payloads (expires_at);
  CREATE TABLE IF NOT EXISTS accounts (id text PRIMARY KEY, claims jsonb NOT NULL);
`
const UPSERT = `
  INSERT INTO oidc_payloads (type, id, payload, grant_id, user_code, uid, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7)
  ON CONFLICT (type, id) DO UPDATE SET payload = excluded.payload, grant_id = excluded.grant_id,
    user_code = excluded.user_code, uid = excluded.uid, expires_at = excluded.expires_at`
const SELECT = 'SELECT payload, consumed_at FROM oidc_payloads WHERE type = $1 AND'
const LIVING = '(expires_at IS NULL OR expires_at > now())'

/** Open the connections and make the tables. */
export async function connect (settings) {
  const pool = new pg.Pool(settings)
  await pool.query(TABLES)
  return pool
}

/** Return the class that oidc-provider makes an adapter of for each of its models. */
export function adapterFor (pool) {
  return class PostgresAdapter {
    constructor (type) {
      this.type = type
    }

    async upsert (id, payload, expiresIn) {
      const expiresAt = expiresIn ? new Date(Date.now() + expiresIn * 1000) : null
      const { grantId = null, userCode = null, uid = null } = payload
      const values = [this.type, id, JSON.stringify(payload), grantId, userCode, uid, expiresAt]
      await pool.query({ name: 'upsert', text: UPSERT, values })
    }

    async find (id) {
      return this.first('find', `${SELECT} id = $2 AND ${LIVING}`, id)
    }

    async findByUid (uid) {
      return this.first('find_uid', `${SELECT} uid = $2 AND ${LIVING}`, uid)
    }

    async findByUserCode (userCode) {
      return this.first('find_user_code', `${SELECT} user_code = $2 AND ${LIVING}`, userCode)
    }

    async consume (id) {
      const text = 'UPDATE oidc_payloads SET consumed_at = now() WHERE type = $1 AND id = $2'
      await pool.query({ name: 'consume', text, values: [this.type, id] })
    }

    async destroy (id) {
      const text = 'DELETE FROM oidc_payloads WHERE type = $1 AND id = $2'
      await pool.query({ name: 'destroy', text, values: [this.type, id] })
    }

    async revokeByGrantId (grantId) {
      const text = 'DELETE FROM oidc_payloads WHERE grant_id = $1'
      await pool.query({ name: 'revoke', text, values: [grantId] })
    }

    async first (name, text, value) {
      const { rows } = await pool.query({ name, text, values: [this.type, value] })
      if (rows.length === 0) return undefined
      const [{ payload, consumed_at: consumedAt }] = rows
      return consumedAt ? { ...payload, consumed: Math.floor(consumedAt.getTime() / 1000) } : payload
    }
  }
}

/** Write clients and accounts where a deployment keeps them that changes them while it runs. */
export async function store (pool, { clients, accounts }) {
  const clientAdapter = new (adapterFor(pool))('Client')
  for (const client of clients) await clientAdapter.upsert(client.client_id, client)
  for (const [id, claims] of Object.entries(accounts)) {
    await pool.query('INSERT INTO accounts (id, claims) VALUES ($1, $2)', [id, JSON.stringify(claims)])
  }
}

/** Return how an account is read from the database. */
export function accountReader (pool) {
  return async (id) => {
    const text = 'SELECT claims FROM accounts WHERE id = $1'
    const { rows } = await pool.query({ name: 'account', text, values: [id] })
    return rows[0]?.claims
  }
}
