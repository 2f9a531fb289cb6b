-- One row is one version of one tenant; the newest counts.
-- Small and read whole by every worker, so the order only needs to be the identity.
CREATE TABLE tenants
(
    tenant_id String COMMENT 'Identifies the tenant in every table, event and API call',
    name String COMMENT 'For people',
    time_zone LowCardinality(String) DEFAULT 'UTC' COMMENT 'IANA name; calendar periods start at local midnight there. Fixed once events have arrived',
    is_active Bool DEFAULT true COMMENT 'Events of an inactive tenant go to the dead letters',
    requests_per_minute UInt32 DEFAULT 1000 COMMENT 'What the API lets all its keys together ask for',
    is_catalogue_strict Bool DEFAULT false COMMENT 'Whether responses that name unknown offers, creatives or channels are refused',
    decision_quota UInt64 DEFAULT 0 COMMENT 'How many recommendations it may ask for in all; 0 for no limit',
    updated_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'Version of the row'
)
ENGINE = ReplacingMergeTree(updated_at)
ORDER BY tenant_id
COMMENT 'Organisations whose customers Rapport serves'
