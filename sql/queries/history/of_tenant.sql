-- A row is one interaction of any customer of a tenant, newest first. Ids sort by event time, so a page and a time
-- range are both a range of ids. The projection by_time has the newest ids, so that only a page is read in full, not
-- the whole tenant. Rows that a crash wrote twice are returned once.
SELECT *
FROM interactions
WHERE tenant_id = {tenant_id:String}
    AND (customer_id, id) IN
    (
        SELECT DISTINCT customer_id, id
        FROM interaction_log
        WHERE tenant_id = {tenant_id:String}
            AND id < {before_id:String}
            AND id >= {from_id:String}
        ORDER BY id DESC
        LIMIT {limit:UInt32}
    )
ORDER BY id DESC
