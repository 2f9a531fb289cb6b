-- A row is one summary row of one of several requests that arrived together, in the order in which the request lists them:
-- period types ascending, the newest period first, then offer, creative, channel and scope.
-- Rows that are not after the place where to go on come last: from a page that holds only those, matching is still known.
-- Of a person with several ids the rows of all of them are added up. A request reads its own tenant's customers only,
-- because rows are joined to them by both.
-- Frames: requests (number, person, the filters, where to go on after; empty: any), summary_customers (person, tenant,
-- customer: one row for each id).
WITH found AS
(
    SELECT
        s.tenant_id AS tenant_id,
        s.customer_id AS customer_id,
        s.period_type AS period_type,
        s.period_key AS period_key,
        s.offer_id AS offer_id,
        s.creative_id AS creative_id,
        s.channel_id AS channel_id,
        s.source AS source,
        s.impressions AS impressions,
        s.positive AS positive,
        s.negative AS negative,
        s.neutral AS neutral,
        s.converts AS converts,
        s.total_value AS total_value,
        s.last_contact_at AS last_contact_at,
        s.last_outcome AS last_outcome,
        s.last_direction AS last_direction
    FROM interaction_summary_state AS s FINAL
    WHERE (s.tenant_id, s.customer_id) IN (SELECT tenant, customer FROM summary_customers)
),
summed AS
(
    SELECT
        c.person AS person,
        scope,
        toString(period_type) AS period_type,
        toString(period_key) AS period_key,
        if(scope = 'offer', f.offer_id, '') AS offer,
        if(scope = 'offer', f.creative_id, '') AS creative,
        f.channel_id AS channel,
        sum(f.impressions) AS impressions,
        sum(f.positive) AS positive,
        sum(f.negative) AS negative,
        sum(f.neutral) AS neutral,
        sum(f.converts) AS converts,
        toFloat64(sum(f.total_value)) AS total_value,
        max(f.last_contact_at) AS last_contact_at,
        argMax(f.last_outcome, (f.last_contact_at, f.source, f.offer_id, f.creative_id, f.customer_id)) AS last_outcome,
        argMax(f.last_direction, (f.last_contact_at, f.source, f.offer_id, f.creative_id, f.customer_id)) AS last_direction
    FROM found AS f
    INNER JOIN summary_customers AS c ON c.tenant = f.tenant_id AND c.customer = f.customer_id
    ARRAY JOIN ['offer', 'channel'] AS scope
    GROUP BY person, scope, period_type, period_key, offer, creative, channel
    HAVING impressions + positive + negative + neutral > 0
)
SELECT *
FROM
(
    SELECT
        r.number AS number,
        scope,
        period_type,
        period_key,
        offer,
        creative,
        channel,
        impressions,
        positive,
        negative,
        neutral,
        converts,
        total_value,
        toUnixTimestamp64Milli(last_contact_at) AS last_contact_ms,
        toString(last_outcome) AS last_outcome,
        toString(last_direction) AS last_direction,
        count() OVER (PARTITION BY r.number) AS matching,
        r.after_type = ''
            OR period_type > r.after_type
            OR (period_type = r.after_type AND period_key < r.after_key)
            OR (
                period_type = r.after_type
                AND period_key = r.after_key
                AND (offer, creative, channel, scope) > (r.after_offer, r.after_creative, r.after_channel, r.after_scope)
            ) AS is_after
    FROM requests AS r
    INNER JOIN summed AS s ON s.person = r.person
    WHERE (r.period = '' OR period_type = r.period)
        AND (r.offer_id = '' OR (scope = 'offer' AND offer = r.offer_id))
        AND (r.creative_id = '' OR (scope = 'offer' AND creative = r.creative_id))
        AND (r.channel_id = '' OR channel = r.channel_id)
        AND (
            period_type = 'alltime'
            OR (r.first_day = '' AND r.last_day = '')
            OR (period_type = 'daily' AND period_key >= r.first_day AND (r.last_day = '' OR period_key <= r.last_day))
            OR (period_type = 'weekly' AND period_key >= r.first_week AND (r.last_day = '' OR period_key <= r.last_week))
            OR (period_type = 'monthly' AND period_key >= r.first_month AND (r.last_day = '' OR period_key <= r.last_month))
        )
)
ORDER BY number, is_after DESC, period_type, period_key DESC, offer, creative, channel, scope
LIMIT {limit:UInt32} BY number
