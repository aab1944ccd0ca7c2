/** What oidc-provider keeps, in one map that several providers of one server share: a server outlives its signing keys. */
type Payload = Record<string, unknown>

/** Makes the storage of one server. */
export const memoryAdapter = () => {
  const records = new Map<string, Payload>()
  return (model: string) => {
    const key = (id: string) => `${model}:${id}`
    const search = (name: string, value: string) =>
      [...records].find(([id, payload]) => id.startsWith(`${model}:`) && payload[name] === value)?.[1]
    return {
      upsert: async (id: string, payload: Payload) => void records.set(key(id), payload),
      find: async (id: string) => records.get(key(id)),
      findByUid: async (uid: string) => search("uid", uid),
      findByUserCode: async (code: string) => search("userCode", code),
      consume: async (id: string) => {
        const payload = records.get(key(id))
        // oxlint-disable-next-line eslint/no-restricted-globals -- a server of its own, outside of any Effect
        if (payload !== undefined) payload["consumed"] = Math.floor(Date.now() / 1000)
      },
      destroy: async (id: string) => void records.delete(key(id)),
      revokeByGrantId: async (grantId: string) => {
        for (const [id, payload] of records) if (payload["grantId"] === grantId) records.delete(id)
      }
    }
  }
}
