-- A row is one interaction out of a list, in full. Ids are unique among all tenants, but the caller pairs them once more.
SELECT *
FROM interaction_history
WHERE tenant_id IN {tenants:Array(String)}
    AND customer_id IN {customers:Array(String)}
    AND id IN {ids:Array(String)}
SETTINGS max_threads = 1
