-- The one row is the number of summary rows of some customers that no event in the history supports. Periods of which
-- retention may have deleted events are left out.
SELECT count() AS rows
FROM interaction_summary_state AS s
LEFT JOIN
(
    SELECT period_type, max(first_key) AS first_key FROM retention_horizons
    WHERE tenant_id = {tenant_id:String}
    GROUP BY period_type
) AS h ON h.period_type = s.period_type
WHERE tenant_id = {tenant_id:String}
    AND s.period_key >= h.first_key
    AND customer_id IN {customer_ids:Array(String)}
    AND (customer_id, s.period_type, period_key, offer_id, creative_id, channel_id, source) NOT IN
    (
        SELECT customer_id, period_type, period_key, offer_id, creative_id, channel_id, source
        FROM interaction_contacts
        WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}
    )
