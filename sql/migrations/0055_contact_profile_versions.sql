-- Addresses are compared without regard to case. Versions written before have the column worked out when they are read.
ALTER TABLE contact_profile_versions ADD COLUMN folded_ids Array(String)
    MATERIALIZED arrayMap(x -> if(match(x, '^[^\\s@]+@[^\\s@]+$'), lowerUTF8(x), x), customer_ids)
    COMMENT 'customer_ids with e-mail addresses in small letters: by these they are compared'
