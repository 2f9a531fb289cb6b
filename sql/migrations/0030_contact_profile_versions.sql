-- One row is one version of one contact profile: what a tenant keeps of a person, and what that person agrees to.
-- Of several attempts at one version the one stored first counts, so that no change covers another which it has not seen:
-- hence the engine, which never collapses, and the block number (see catalogue_entity_versions). When a profile ends, its
-- last version says so and the others are removed: they are personal data. One that lapsed while it objected to
-- something keeps the customers it was about, because an objection holds until a newer profile speaks for them.
-- Profiles are read by their ids, which ascend with time, and found by the customers they are about: hence the order and
-- the index.
CREATE TABLE contact_profile_versions
(
    tenant_id LowCardinality(String) COMMENT 'Tenant',
    profile_id String COMMENT '24 characters; begins with the second in which the profile was made',
    version UInt32 COMMENT 'Of the profile: 1 for the first; ascends by one',
    change_id String COMMENT 'Identifies the attempt at a change',
    project_id String COMMENT 'As the caller named it; empty if not named',
    profile String CODEC(ZSTD(3)) COMMENT 'A JSON object: the fields of the person',
    contact_ids Array(String) COMMENT 'How the person is known: customers of the events',
    customer_ids Array(String) COMMENT 'Customers that the profile speaks for: the contact ids and the e-mail address',
    email String COMMENT 'Of the profile; empty if there is none',
    is_active Bool COMMENT 'Whether lists show the profile and the person may be addressed',
    prevents_collection Bool COMMENT 'prevent_data_collection is true',
    refuses_gdpr Bool COMMENT 'accepted_gdpr is false',
    uncollected_since Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when one of the two holds; NULL if neither does',
    ended LowCardinality(String) COMMENT 'deleted, merged or expired: this version ends the profile; empty while it lives',
    created_at DateTime64(3, 'UTC') COMMENT 'When the first version was made',
    created_by String COMMENT 'Who made the first version; 24 characters that stand for a key',
    changed_at DateTime64(3, 'UTC') COMMENT 'When this version was made',
    changed_by String COMMENT 'Who made it, likewise',
    folded_ids Array(String)
        MATERIALIZED arrayMap(x -> if(match(x, '^[^\\s@]+@[^\\s@]+$'), lowerUTF8(x), x), customer_ids)
        COMMENT 'customer_ids with e-mail addresses in small letters: by these they are compared',
    INDEX by_customer customer_ids TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_folded folded_ids TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
ORDER BY (tenant_id, profile_id, version)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 0, enable_block_number_column = 1
COMMENT 'Every attempt at a version of a contact profile; read contact_profiles'
