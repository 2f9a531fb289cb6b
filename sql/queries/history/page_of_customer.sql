-- A row is one interaction of a customer, who may have several ids, newest first: one page of a history that is too
-- long to be read whole. FINAL costs little, because the rows of a customer lie in one range of few parts.
SELECT customer_id, id
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
ORDER BY id DESC
LIMIT {limit:UInt32}
