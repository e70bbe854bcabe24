// A memory adapter without a limit of entries. The one that comes with the peer keeps the newest
// 1000 entries, so sessions and tokens vanish under load, and walks all tokens of a grant at every
// write. Plain maps do neither: the peer is shown at its fastest.

const entries = new Map();
const sessions = new Map();
const grants = new Map();

const GRANTABLE = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken']);

export class UnboundedMemory {
  constructor(model) {
    this.model = model;
    this.grantable = GRANTABLE.has(model);
  }

  key(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload, expiresIn) {
    const key = this.key(id);
    if (this.model === 'Session') sessions.set(payload.uid, id);
    if (this.grantable && payload.grantId) {
      const tokens = grants.get(payload.grantId);
      if (tokens) tokens.add(key);
      else grants.set(payload.grantId, new Set([key]));
    }
    entries.set(key, { payload, expires: expiresIn ? Date.now() + expiresIn * 1000 : Infinity });
  }

  async find(id) {
    const key = this.key(id);
    const entry = entries.get(key);
    if (entry && entry.expires <= Date.now()) {
      entries.delete(key);
      return undefined;
    }
    return entry?.payload;
  }

  async findByUid(uid) {
    return this.find(sessions.get(uid));
  }

  async findByUserCode() {
    return undefined;
  }

  async consume(id) {
    entries.get(this.key(id)).payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    const key = this.key(id);
    const entry = entries.get(key);
    entries.delete(key);
    if (entry?.payload.grantId) grants.get(entry.payload.grantId)?.delete(key);
    if (this.model === 'Session' && entry) sessions.delete(entry.payload.uid);
  }

  async revokeByGrantId(grantId) {
    for (const key of grants.get(grantId) ?? []) entries.delete(key);
    grants.delete(grantId);
  }
}
