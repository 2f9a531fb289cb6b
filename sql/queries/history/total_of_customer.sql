-- The one row is the number of interactions of a customer, who may have several ids, that match some filters, each
-- counted once. Counting distinct ids takes many times as long as FINAL.
SELECT count() AS total
FROM interaction_log FINAL
WHERE tenant_id = {tenant_id:String}
    AND customer_id IN {customer_ids:Array(String)}
    AND ({offer_id:String} = '' OR offer_id = {offer_id:String})
    AND ({creative_id:String} = '' OR creative_id = {creative_id:String})
    AND ({channel_id:String} = '' OR channel_id = {channel_id:String})
    AND ({outcome:String} = '' OR outcome = {outcome:String})
    AND ({direction:String} = '' OR direction = {direction:String})
    AND id >= {from_id:String}
    AND id < {before_id:String}
