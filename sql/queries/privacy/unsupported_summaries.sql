-- One row: how many summary rows of some customers nothing in the history stands for.
SELECT count() AS rows
FROM interaction_summary_state
WHERE tenant_id = {tenant_id:String}
    AND customer_id IN {customer_ids:Array(String)}
    AND (customer_id, period_type, period_key, offer_id, creative_id, channel_id, source) NOT IN
    (
        SELECT customer_id, period_type, period_key, offer_id, creative_id, channel_id, source
        FROM interaction_contacts
        WHERE tenant_id = {tenant_id:String} AND customer_id IN {customer_ids:Array(String)}
    )
