-- A row is a rank of one of some recommendations that a customer has seen, up to the applied offsets of the summary
-- rows.
-- Frame: applied_offsets (customer_id, offer_id, creative_id, channel_id, source, applied_offset).
SELECT DISTINCT e.recommendation_id AS recommendation_id, e.rank AS rank
FROM interaction_log AS e
INNER JOIN applied_offsets AS r
    ON r.customer_id = e.customer_id
    AND r.offer_id = e.offer_id
    AND r.creative_id = e.creative_id
    AND r.channel_id = e.channel_id
    AND r.source = toString(e.source)
WHERE e.tenant_id = {tenant_id:String}
    AND e.customer_id IN {customer_ids:Array(String)}
    AND e.recommendation_id IN {recommendations:Array(String)}
    AND e.category = 'impression'
    AND e.offset <= r.applied_offset
