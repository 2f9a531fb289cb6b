-- A row is one event of customers whom decisions are about, from an id on; recommendations only if asked for. What a crash
-- wrote twice is returned twice: the caller knows rows by their ids, which is cheaper than FINAL. The caller pairs tenants
-- with customers.
SELECT
    toString(e.tenant_id) AS tenant_id,
    e.customer_id AS customer_id,
    e.id AS id,
    toUnixTimestamp64Milli(e.occurred_at) AS occurred_ms,
    toString(e.outcome) AS outcome,
    toString(e.category) AS category,
    toString(e.classification) AS classification,
    e.is_conversion AS is_conversion,
    e.offer_id AS offer_id,
    e.creative_id AS creative_id,
    e.channel_id AS channel_id,
    e.recommendation_id AS recommendation_id,
    e.rank AS rank,
    e.conversion_value AS conversion_value,
    toString(e.direction) AS direction,
    toString(e.source) AS source,
    e.offset AS offset
FROM interactions AS e
PREWHERE e.tenant_id IN {tenants:Array(String)}
    AND e.customer_id IN {customers:Array(String)}
    AND e.id >= {first_id:String}
    AND ({recommendations:Bool} OR e.category != 'recommendation')
SETTINGS max_threads = 1
