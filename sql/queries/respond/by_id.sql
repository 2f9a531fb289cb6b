-- A row is one interaction by its id, of any customer of the tenant; the projection by_time finds the customer.
SELECT id, customer_id, outcome, offer_id, creative_id, channel_id, placement_id, recommendation_id, rank
FROM interactions
WHERE tenant_id = {tenant_id:String}
    AND id = {id:String}
    AND customer_id IN
    (
        SELECT customer_id FROM interaction_log WHERE tenant_id = {tenant_id:String} AND id = {id:String}
    )
LIMIT 1
