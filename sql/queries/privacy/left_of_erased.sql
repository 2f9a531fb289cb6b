-- A row is one customer who has rows in a table although there is a tombstone.
SELECT DISTINCT tenant_id, {column:Identifier} AS customer_id
FROM {table:Identifier}
WHERE (tenant_id, lower(hex(SHA256(concat(tenant_id, '\0', {column:Identifier}))))) IN
(
    SELECT tenant_id, customer_hash FROM erasures
)
