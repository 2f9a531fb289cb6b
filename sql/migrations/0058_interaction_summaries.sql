-- One row is one (customer, offer, creative, channel) in one period, scope 'offer', or one (customer, channel) in one
-- period over all offers, scope 'channel' with null offer and creative. Filter on scope before adding rows up.
-- Blocks of a source are added up like sources; of two events at one time the one in the later block is the last.
CREATE OR REPLACE VIEW interaction_summaries
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    customer_id String COMMENT 'Customer',
    scope String COMMENT 'offer: one row per offer, creative and channel; channel: all offers of a channel together',
    period_type LowCardinality(String) COMMENT 'daily, weekly, monthly or alltime',
    period_key LowCardinality(String) COMMENT '2026-04-30, 2026-W18, 2026-04 or alltime, in the tenant''s time zone',
    offer_id Nullable(String) COMMENT 'Null where the events name none, and in scope channel',
    creative_id Nullable(String) COMMENT 'Null where the events name none, and in scope channel',
    channel_id Nullable(String) COMMENT 'Null where the events name none',
    impressions UInt64 COMMENT 'Outcomes of category impression',
    positive UInt64 COMMENT 'Responses classified positive',
    negative UInt64 COMMENT 'Responses classified negative',
    neutral UInt64 COMMENT 'Responses classified neutral',
    converts UInt64 COMMENT 'Conversions; also in positive',
    total_value Decimal(38, 6) COMMENT 'Sum of conversion_value over positive outcomes, and of negative values',
    last_contact_at DateTime64(3, 'UTC') COMMENT 'Time of the latest event',
    last_outcome LowCardinality(String) COMMENT 'Outcome of the latest event',
    last_direction LowCardinality(String) COMMENT 'inbound or outbound, of the latest event'
)
AS SELECT
    tenant_id,
    customer_id,
    'offer' AS scope,
    period_type,
    period_key,
    nullIf(s.offer_id, '') AS offer_id,
    nullIf(s.creative_id, '') AS creative_id,
    nullIf(s.channel_id, '') AS channel_id,
    sum(s.impressions) AS impressions,
    sum(s.positive) AS positive,
    sum(s.negative) AS negative,
    sum(s.neutral) AS neutral,
    sum(s.converts) AS converts,
    sum(s.total_value) AS total_value,
    max(s.last_contact_at) AS last_contact_at,
    argMax(s.last_outcome, (s.last_contact_at, s.source, s.block)) AS last_outcome,
    argMax(s.last_direction, (s.last_contact_at, s.source, s.block)) AS last_direction
FROM interaction_summary_state AS s FINAL
GROUP BY tenant_id, customer_id, period_type, period_key, s.offer_id, s.creative_id, s.channel_id
HAVING impressions + positive + negative + neutral > 0
UNION ALL
SELECT
    tenant_id,
    customer_id,
    'channel' AS scope,
    period_type,
    period_key,
    NULL AS offer_id,
    NULL AS creative_id,
    nullIf(s.channel_id, '') AS channel_id,
    sum(s.impressions) AS impressions,
    sum(s.positive) AS positive,
    sum(s.negative) AS negative,
    sum(s.neutral) AS neutral,
    sum(s.converts) AS converts,
    sum(s.total_value) AS total_value,
    max(s.last_contact_at) AS last_contact_at,
    argMax(s.last_outcome, (s.last_contact_at, s.source, s.offer_id, s.creative_id, s.block)) AS last_outcome,
    argMax(s.last_direction, (s.last_contact_at, s.source, s.offer_id, s.creative_id, s.block)) AS last_direction
FROM interaction_summary_state AS s FINAL
GROUP BY tenant_id, customer_id, period_type, period_key, s.channel_id
HAVING impressions + positive + negative + neutral > 0
COMMENT 'Windowed summaries of all sources together'
