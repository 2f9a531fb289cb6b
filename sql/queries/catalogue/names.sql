-- A row is one offer, creative, channel, category or sub-category of a tenant as it is now, also if it was deleted:
-- events still name it.
SELECT
    kind,
    entity_id,
    name,
    if(is_deleted, 'deleted', status) AS current_status,
    JSONExtractString(body, 'channelId') AS channel_id,
    JSONExtractString(body, 'offerId') AS offer_id,
    body
FROM catalog_current
WHERE tenant_id = {tenant_id:String} AND kind IN ('offer', 'creative', 'channel', 'category', 'sub_category')
