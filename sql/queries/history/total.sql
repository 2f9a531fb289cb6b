-- The one row is the number of a tenant's interactions that match some filters, each counted once.
SELECT uniqExact(id) AS total
FROM interaction_log
WHERE tenant_id = {tenant_id:String}
    AND ({offer_id:String} = '' OR offer_id = {offer_id:String})
    AND ({creative_id:String} = '' OR creative_id = {creative_id:String})
    AND ({channel_id:String} = '' OR channel_id = {channel_id:String})
    AND ({outcome:String} = '' OR outcome = {outcome:String})
    AND ({direction:String} = '' OR direction = {direction:String})
    AND id >= {from_id:String}
    AND id < {before_id:String}
