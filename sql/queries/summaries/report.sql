-- A row is one offer, creative, channel or customer with its outcomes since a day, the largest total first. Merged
-- customers are one, by the canonical id. matching is the number of rows on all pages. Reads the history, because
-- summaries do not have single outcomes.
SELECT
    group_id,
    countIf(outcome = 'impression') AS impression,
    countIf(outcome = 'click') AS click,
    countIf(outcome = 'dismiss') AS dismiss,
    countIf(outcome = 'accept') AS accept,
    countIf(outcome IN ('convert', 'conversion')) AS convert,
    impression + click + dismiss + accept + convert AS total,
    countIf(category = 'response' AND classification = 'positive') AS positive,
    countIf(category = 'response' AND classification = 'negative') AS negative,
    countIf(category = 'response' AND classification = 'neutral') AS neutral,
    count() OVER () AS matching
FROM
(
    SELECT
        multiIf(
            {group_by:String} = 'offer', i.offer_id,
            {group_by:String} = 'creative', i.creative_id,
            {group_by:String} = 'channel', i.channel_id,
            transform(i.customer_id, {aliases:Array(String)}, {canonical_ids:Array(String)}, i.customer_id)
        ) AS group_id,
        outcome,
        category,
        classification
    FROM interaction_log AS i FINAL
    WHERE i.tenant_id = {tenant_id:String}
        AND i.local_date >= {first_day:Date}
        AND i.category != 'recommendation'
)
GROUP BY group_id
ORDER BY total DESC, group_id
LIMIT {limit:UInt32} OFFSET {offset:UInt32}
