/** A connector file in which every kind of setting occurs. */
export const wholeFile = `connector: shop
auth:
  oauth2: refresh_token
  issuer: https://id.shop.example
  client_id: \${env:SHOP_ID}
  client_secret: \${env:SHOP_SECRET}
  refresh_token: \${file:./refresh-token}
  scopes: [orders.read, items.read]
http:
  base_url: https://\${env:SHOP_HOST}/v1
  headers: { x-api-version: "2", x-api-key: "\${env:SHOP_KEY}" }
  rate_limit: { requests: 600, per: 1 minute, key: shop }
  max_page_bytes: 1000000
streams:
  orders:
    path: /orders
    query: { per_page: 100, expand: true, sort: "-id" }
    records: $.data[*]
    primary_key: [shop.id, id]
    pagination: { cursor: $.next, param: cursor }
    incremental: { field: updated_at, param: since, lookback: 5 minutes, start: 2026-01-01T00:00:00Z }
    poll: cron */5 6-20 * * MON-FRI Europe/Berlin
    jitter: 2 seconds
    schema: { id: int64, total: "decimal(18, 2)?" }
    topic: { name: orders, partitions: 4, retention: 1 day, retention_bytes: 1000000 }
    transform:
      - mask: { customer.email: sha256 }
        salt: \${env:MASK_SALT}
      - rename: { customer.id: customer_id }
      - filter: record.total > 0
      - typescript: ./orders.ts
  items:
    path: /items
    pagination: { page: page, size: 50, size_param: per_page }
    primary_key: sku
    poll: every 2 seconds
    transform: []
    sink:
      clickhouse: { table: shop.all_items, partition_by: toYYYYMM(at), flush_every: 500 millis }
transform:
  - drop: [internal_note]
sink:
  clickhouse:
    mode: upsert
    batch_rows: 10000
    views:
      late_{stream}: |
        SELECT *
        FROM {connector}.{stream} FINAL
`

/** The example of the design, with its secrets where they can be read from. */
export const designFile = (secret: string, salt: string) => `connector: shop
auth:
  oauth2: client_credentials            # authorization_code, device_code, refresh_token, jwt_bearer, token_exchange
  issuer: https://id.shop.example       # or token_url / authorization_url
  client_id: \${env:SHOP_ID}
  client_secret: ${secret}
  scopes: [orders.read]
http:
  base_url: https://api.shop.example/v1
  rate_limit: { requests: 600, per: 1 minute, key: shop }
streams:
  orders:
    path: /orders
    records: $.data[*]
    primary_key: id
    pagination: { cursor: $.next, param: cursor }
    incremental: { field: updated_at, param: since, lookback: 5 minutes }
    poll: every 2 seconds
transform:
  - mask: { customer.email: sha256 }${salt}
  - typescript: ./orders.ts
sink:
  clickhouse: { table: shop.orders, order_by: [id], mode: upsert }
`
